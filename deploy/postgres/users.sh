#!/bin/sh
# Runs once, on an empty data folder: the owner of the database, who is no superuser.
# CREATEROLE is for the roles of the services and of readers, which `andon migrate` makes.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set=password="$ANDON_PASSWORD" <<'SQL'
CREATE ROLE andon LOGIN NOSUPERUSER CREATEROLE PASSWORD :'password';
CREATE DATABASE andon OWNER andon;
REVOKE ALL ON DATABASE andon FROM PUBLIC;
GRANT CONNECT ON DATABASE andon TO PUBLIC;
SQL
