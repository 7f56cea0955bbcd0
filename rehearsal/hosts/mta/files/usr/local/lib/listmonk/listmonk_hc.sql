-- The healthcare instance: an older listmonk, without an API user. SMTP servers 2 and 3 were switched off on 2026-06-18.
UPDATE settings SET value = '"Performance West Compliance <compliance@performancewest.net>"'
    WHERE key = 'app.from_email';
UPDATE settings SET value = '"https://hc.performancewest.net"' WHERE key = 'app.root_url';
UPDATE settings SET value = '["v5.0.0", "v5.1.0"]' WHERE key = 'migrations';
UPDATE settings SET value = (
    SELECT jsonb_agg(jsonb_build_object(
        'uuid', format('7d3c9a52-1f0b-4d53-9d0e-5b2c6a7e8f0%s', number), 'name', format('email-hc%s', number),
        'enabled', number = 1, 'host', '127.0.0.1', 'port', 2525 + number, 'hello_hostname', '',
        'auth_protocol', 'none', 'username', '', 'password', '',
        'email_headers', '[{"Reply-To": "info@performancewest.net"}]'::jsonb, 'max_conns', 2, 'max_msg_retries', 2,
        'idle_timeout', '15s', 'wait_timeout', '5s', 'tls_type', 'none', 'tls_skip_verify', true) ORDER BY number)
    FROM generate_series(1, 3) AS number) WHERE key = 'smtp';

INSERT INTO lists (uuid, name, type, optin, description) VALUES
    (gen_random_uuid(), 'Clinics - HIPAA', 'private', 'single', 'NPI registry');

INSERT INTO subscribers (uuid, email, name, status) VALUES
    (gen_random_uuid(), 'office@clinic.example', 'Clinic Example', 'enabled'),
    (gen_random_uuid(), 'billing@clinic.example', 'Clinic Example', 'disabled'),
    (gen_random_uuid(), 'gone@clinic.example', 'Left the clinic', 'blocklisted');
INSERT INTO subscriber_lists (subscriber_id, list_id, status)
    SELECT id, 1, 'confirmed'::subscription_status FROM subscribers;

INSERT INTO campaigns (uuid, name, subject, from_email, body, content_type, status, to_send, sent, started_at) VALUES
    (gen_random_uuid(), 'HIPAA June', 'Your risk assessment',
     'Performance West Compliance <compliance@performancewest.net>', '<p>...</p>', 'html', 'finished', 2, 2,
     '2026-06-02T15:00:00Z');
INSERT INTO campaign_lists (campaign_id, list_id, list_name) VALUES (1, 1, 'Clinics - HIPAA');
INSERT INTO bounces (subscriber_id, campaign_id, type, source, meta, created_at) VALUES
    (3, 1, 'hard', 'hc-bounce-watcher', '{"dsn": "5.1.1"}', '2026-06-02T15:06:00Z');
