#!/bin/sh
# Runs once, on an empty data folder: the user of the services owns its database and is no superuser.
# CREATEROLE is for the role that reads the SQL views, which `andon migrate` makes.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set=password="$ANDON_PASSWORD" <<'SQL'
CREATE ROLE andon LOGIN NOSUPERUSER CREATEROLE PASSWORD :'password';
CREATE DATABASE andon OWNER andon;
REVOKE ALL ON DATABASE andon FROM PUBLIC;
GRANT CONNECT ON DATABASE andon TO PUBLIC;
SQL
