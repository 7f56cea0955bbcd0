-- Both databases from nothing, run once by the cluster's superuser.
\set ON_ERROR_STOP on
\set token `cat /etc/listmonk/token`
CREATE ROLE listmonk LOGIN;
CREATE DATABASE listmonk;
\connect listmonk
SET client_min_messages = warning;
\ir schema.sql
\connect postgres
CREATE DATABASE listmonk_hc TEMPLATE listmonk;
\connect listmonk_hc
BEGIN;
\ir listmonk_hc.sql
GRANT ALL ON ALL TABLES IN SCHEMA public TO listmonk;
COMMIT;
\connect listmonk
BEGIN;
\ir listmonk.sql
GRANT ALL ON ALL TABLES IN SCHEMA public TO listmonk;
COMMIT;
