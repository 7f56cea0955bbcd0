-- The tables of listmonk v6.2 that the runbook's procedures meet, in our words, with the settings of a fresh load.
-- Left out: templates, media, links, clicks, views, sessions, and the materialised views with cached counts.
CREATE EXTENSION pgcrypto;

CREATE TYPE list_type AS ENUM ('public', 'private', 'temporary');
CREATE TYPE list_optin AS ENUM ('single', 'double');
CREATE TYPE list_status AS ENUM ('active', 'archived');
CREATE TYPE subscriber_status AS ENUM ('enabled', 'disabled', 'blocklisted');
CREATE TYPE subscription_status AS ENUM ('unconfirmed', 'confirmed', 'unsubscribed');
CREATE TYPE campaign_status AS ENUM ('draft', 'running', 'scheduled', 'paused', 'cancelled', 'finished');
CREATE TYPE campaign_type AS ENUM ('regular', 'optin');
CREATE TYPE content_type AS ENUM ('richtext', 'html', 'plain', 'markdown', 'visual');
CREATE TYPE bounce_type AS ENUM ('soft', 'hard', 'complaint');
CREATE TYPE user_type AS ENUM ('user', 'api');
CREATE TYPE user_status AS ENUM ('enabled', 'disabled');
CREATE TYPE twofa_type AS ENUM ('none', 'totp');

CREATE TABLE subscribers (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    attribs jsonb NOT NULL DEFAULT '{}',
    status subscriber_status NOT NULL DEFAULT 'enabled',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE UNIQUE INDEX idx_subs_email ON subscribers (lower(email));

CREATE TABLE lists (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    name text NOT NULL,
    type list_type NOT NULL,
    optin list_optin NOT NULL DEFAULT 'single',
    status list_status NOT NULL DEFAULT 'active',
    tags varchar(100)[],
    description text NOT NULL DEFAULT '',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE subscriber_lists (
    subscriber_id integer REFERENCES subscribers ON DELETE CASCADE,
    list_id integer REFERENCES lists ON DELETE CASCADE,
    meta jsonb NOT NULL DEFAULT '{}',
    status subscription_status NOT NULL DEFAULT 'unconfirmed',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (subscriber_id, list_id)
);

CREATE TABLE campaigns (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    name text NOT NULL,
    subject text NOT NULL,
    from_email text NOT NULL,
    body text NOT NULL,
    body_source text,
    altbody text,
    content_type content_type NOT NULL DEFAULT 'richtext',
    send_at timestamptz,
    headers jsonb NOT NULL DEFAULT '[]',
    attribs jsonb NOT NULL DEFAULT '{}',
    status campaign_status NOT NULL DEFAULT 'draft',
    tags varchar(100)[],
    type campaign_type DEFAULT 'regular',
    messenger text NOT NULL DEFAULT 'email',
    template_id integer,
    to_send integer NOT NULL DEFAULT 0,
    sent integer NOT NULL DEFAULT 0,
    max_subscriber_id integer NOT NULL DEFAULT 0,
    last_subscriber_id integer NOT NULL DEFAULT 0,
    archive boolean NOT NULL DEFAULT false,
    archive_slug text,
    archive_template_id integer,
    archive_meta jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE campaign_lists (
    id bigserial PRIMARY KEY,
    campaign_id integer NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    list_id integer REFERENCES lists ON DELETE SET NULL,
    list_name text NOT NULL DEFAULT ''
);

CREATE TABLE bounces (
    id serial PRIMARY KEY,
    subscriber_id integer NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    campaign_id integer REFERENCES campaigns ON DELETE SET NULL,
    type bounce_type NOT NULL DEFAULT 'hard',
    source text NOT NULL DEFAULT '',
    meta jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz DEFAULT now()
);

CREATE TABLE users (
    id serial PRIMARY KEY,
    username text NOT NULL UNIQUE,
    password_login boolean NOT NULL DEFAULT false,
    password text,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    avatar text,
    type user_type NOT NULL DEFAULT 'user',
    user_role_id integer,
    list_role_id integer,
    status user_status NOT NULL DEFAULT 'disabled',
    twofa_type twofa_type NOT NULL DEFAULT 'none',
    twofa_key text,
    loggedin_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE settings (
    key text NOT NULL UNIQUE,
    value jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz DEFAULT now()
);

INSERT INTO settings (key, value) VALUES
    ('app.site_name', '"Mailing list"'),
    ('app.root_url', '"http://localhost:9000"'),
    ('app.favicon_url', '""'),
    ('app.logo_url', '""'),
    ('app.from_email', '"listmonk <noreply@listmonk.yoursite.com>"'),
    ('app.concurrency', '10'),
    ('app.message_rate', '10'),
    ('app.batch_size', '1000'),
    ('app.max_send_errors', '1000'),
    ('app.message_sliding_window', 'false'),
    ('app.message_sliding_window_duration', '"1h"'),
    ('app.message_sliding_window_rate', '10000'),
    ('app.cache_slow_queries', 'false'),
    ('app.cache_slow_queries_interval', '"0 3 * * *"'),
    ('app.enable_public_archive', 'true'),
    ('app.enable_public_archive_rss_content', 'true'),
    ('app.enable_public_subscription_page', 'true'),
    ('app.send_optin_confirmation', 'true'),
    ('app.check_updates', 'true'),
    ('app.notify_emails', '["admin1@mysite.com", "admin2@mysite.com"]'),
    ('app.lang', '"en"'),
    ('privacy.individual_tracking', 'false'),
    ('privacy.unsubscribe_header', 'true'),
    ('privacy.allow_blocklist', 'true'),
    ('privacy.allow_export', 'true'),
    ('privacy.allow_wipe', 'true'),
    ('privacy.allow_preferences', 'true'),
    ('privacy.exportable', '["profile", "subscriptions", "campaign_views", "link_clicks"]'),
    ('privacy.domain_blocklist', '[]'),
    ('privacy.domain_allowlist', '[]'),
    ('privacy.record_optin_ip', 'false'),
    ('security.oidc', '{"enabled": false, "provider_url": "", "client_id": "", "client_secret": ""}'),
    ('security.cors_origins', '[]'),
    ('upload.provider', '"filesystem"'),
    ('upload.max_file_size', '5000'),
    ('upload.extensions', '["jpg", "jpeg", "png", "gif", "svg", "*"]'),
    ('upload.filesystem.upload_path', '"uploads"'),
    ('upload.filesystem.upload_uri', '"/uploads"'),
    ('upload.s3.aws_access_key_id', '""'),
    ('upload.s3.aws_secret_access_key', '""'),
    ('upload.s3.aws_default_region', '"ap-south-1"'),
    ('upload.s3.bucket', '""'),
    ('upload.s3.bucket_path', '"/"'),
    ('upload.s3.bucket_type', '"public"'),
    ('upload.s3.expiry', '"167h"'),
    ('smtp', '[{"enabled": true, "host": "smtp.yoursite.com", "port": 25}]'),
    ('messengers', '[]'),
    ('bounce.enabled', 'false'),
    ('bounce.webhooks_enabled', 'false'),
    ('bounce.actions', '{"soft": {"count": 2, "action": "none"}, "hard": {"count": 1, "action": "blocklist"},
        "complaint": {"count": 1, "action": "blocklist"}}'),
    ('bounce.ses_enabled', 'false'),
    ('bounce.sendgrid_enabled', 'false'),
    ('bounce.sendgrid_key', '""'),
    ('bounce.azure', '{"enabled": false, "shared_secret": ""}'),
    ('bounce.postmark', '{"enabled": false, "username": "", "password": ""}'),
    ('bounce.forwardemail', '{"enabled": false, "key": ""}'),
    ('bounce.lettermint', '{"enabled": false, "key": ""}'),
    ('bounce.mailboxes', '[]'),
    ('appearance.admin.custom_css', '""'),
    ('appearance.admin.custom_js', '""'),
    ('appearance.public.custom_css', '""'),
    ('appearance.public.custom_js', '""'),
    ('maintenance.db', '{"vacuum": false, "vacuum_cron_interval": "0 2 * * *"}'),
    ('migrations', '["v5.1.0", "v6.0.0", "v6.1.0", "v6.2.0"]');

-- What both instances have set alike. No more than 200 messages an hour; a dead address is blocked at its first bounce.
UPDATE settings SET value = 'true' WHERE key IN ('app.message_sliding_window', 'bounce.enabled');
UPDATE settings SET value = '200' WHERE key = 'app.message_sliding_window_rate';
UPDATE settings SET value = '["ops@performancewest.net"]' WHERE key = 'app.notify_emails';
UPDATE settings SET value = '[{"uuid": "6f0d2c1e-7f52-4f1e-9a53-0a2f3b0f5c11", "enabled": true, "type": "pop",
    "host": "co.carrierone.com", "port": 995, "auth_protocol": "userpass", "return_path": "bounces@performancewest.net",
    "username": "bounces@performancewest.net", "password": "rehearsal-pop", "tls_enabled": true,
    "tls_skip_verify": false, "scan_interval": "15m"}]' WHERE key = 'bounce.mailboxes';
