-- The trucking instance: still with the From of the root domain, as before 2026-06-19.
UPDATE settings SET value = '"Performance West <noreply@performancewest.net>"' WHERE key = 'app.from_email';
UPDATE settings SET value = '"https://lists.performancewest.net"' WHERE key = 'app.root_url';
UPDATE settings SET value = '[
    {"uuid": "0b8f1c1a-3a54-4f5e-8f0e-3c1f5a8f0a01", "name": "email-postfix", "enabled": true, "host": "127.0.0.1",
     "port": 25, "hello_hostname": "", "auth_protocol": "none", "username": "", "password": "",
     "email_headers": [{"Reply-To": "info@performancewest.net"}], "max_conns": 5, "max_msg_retries": 2,
     "idle_timeout": "15s", "wait_timeout": "5s", "tls_type": "none", "tls_skip_verify": true, "from_addresses": []},
    {"uuid": "0b8f1c1a-3a54-4f5e-8f0e-3c1f5a8f0a02", "name": "email-relay", "enabled": false,
     "host": "co.carrierone.com", "port": 587, "hello_hostname": "perfwest.performancewest.net",
     "auth_protocol": "login", "username": "relay@performancewest.net", "password": "rehearsal-relay",
     "email_headers": [{"Reply-To": "info@performancewest.net"}], "max_conns": 2, "max_msg_retries": 2,
     "idle_timeout": "15s", "wait_timeout": "5s", "tls_type": "STARTTLS", "tls_skip_verify": false,
     "from_addresses": []}]' WHERE key = 'smtp';

INSERT INTO users (username, password, email, name, type, user_role_id, status)
    VALUES ('runbook', :'token', 'runbook@api', 'the deliverability runbook', 'api', 1, 'enabled');

INSERT INTO lists (uuid, name, type, optin, description) VALUES
    (gen_random_uuid(), 'Carriers - MCS-150 due', 'private', 'single', 'FMCSA census, refreshed weekly'),
    (gen_random_uuid(), 'Carriers - newsletter', 'public', 'double', 'asked for it on the site');

-- 'disabled' still receives campaigns; 'blocklisted' does not, with whatever subscription.
INSERT INTO subscribers (uuid, email, name, status, attribs) VALUES
    (gen_random_uuid(), 'dispatch@contoso.com', 'Contoso Freight', 'enabled', '{"dot": "1048576"}'),
    (gen_random_uuid(), 'Owner@Fabrikam.com', 'Fabrikam Hauling', 'enabled', '{"dot": "2097152"}'),
    (gen_random_uuid(), 'safety@freight.example', 'Freight Example', 'disabled', '{"dot": "524288"}'),
    (gen_random_uuid(), 'gone@contoso.com', 'Left the company', 'blocklisted', '{}'),
    (gen_random_uuid(), 'stop@fabrikam.com', 'Asked to stop', 'blocklisted', '{}'),
    (gen_random_uuid(), 'smalltruck@gmail.com', 'One truck', 'enabled', '{"dot": "4194304"}'),
    (gen_random_uuid(), 'o''neil@yahoo.com', 'O''Neil Transport', 'enabled', '{}');

INSERT INTO subscriber_lists (subscriber_id, list_id, status)
    SELECT id, 1, 'confirmed'::subscription_status FROM subscribers;
INSERT INTO subscriber_lists (subscriber_id, list_id, status) VALUES (1, 2, 'confirmed'), (2, 2, 'unconfirmed');
-- a person who asked to stop has no subscription left; one that bounced still has (the bounce path sets the status only)
UPDATE subscriber_lists SET status = 'unsubscribed' WHERE subscriber_id = 5;

INSERT INTO campaigns (uuid, name, subject, from_email, body, content_type, status, to_send, sent, started_at) VALUES
    (gen_random_uuid(), 'MCS-150 May', 'Your MCS-150 update', 'Performance West <noreply@performancewest.net>',
     '<p>...</p>', 'html', 'finished', 6, 6, '2026-05-30T15:00:00Z'),
    (gen_random_uuid(), 'MCS-150 July', 'Your MCS-150 update', 'Performance West <noreply@performancewest.net>',
     '<p>...</p>', 'html', 'draft', 0, 0, NULL);
INSERT INTO campaign_lists (campaign_id, list_id, list_name) VALUES
    (1, 1, 'Carriers - MCS-150 due'), (2, 1, 'Carriers - MCS-150 due');

INSERT INTO bounces (subscriber_id, campaign_id, type, source, meta, created_at) VALUES
    (4, 1, 'hard', 'bounce-watcher', '{"dsn": "5.1.1"}', '2026-05-30T15:04:00Z'),
    (2, 1, 'soft', 'bounce-watcher', '{"dsn": "4.4.4"}', '2026-05-30T15:09:00Z');
