"""The two statements that listmonk's database is asked. Values are psql variables: psql quotes them, nobody else."""

PSQL = ("env", "-C", "/", "runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1")
"""From the root folder: postgres may not enter root's home, and says so where an error is to stand."""

LOOK = """
SELECT json_build_object(
    'stored', (SELECT to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM settings
               WHERE key = 'app.from_email'),
    'settings', json_build_object(
        'app.from_email', (SELECT value FROM settings WHERE key = 'app.from_email'),
        'smtp', (SELECT jsonb_agg(server - 'password' - 'username')
                 FROM settings, jsonb_array_elements(value) AS server WHERE key = 'smtp')),
    'campaigns', (SELECT coalesce(json_agg(json_build_object('name', name, 'status', status, 'from_email', from_email)
                                           ORDER BY id), '[]')
                  FROM campaigns WHERE status IN ('draft', 'running', 'scheduled', 'paused')))
"""
"""All that is looked at, in one answer. Passwords and user names do not leave the host."""

LOOKING = (*PSQL, "-c", LOOK, "-d")
"""The look, but for the name of the database."""

SET = """
UPDATE settings SET value = to_jsonb(:'after'::text), updated_at = now()
WHERE key = 'app.from_email' AND value = to_jsonb(:'before'::text) RETURNING 'changed';
"""
"""Compare-and-set in one statement. The value is JSON: a bare text would be "invalid input syntax for type json"."""
