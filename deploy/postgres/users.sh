#!/bin/sh
# Runs once, on an empty data folder: the owner of the database, who is no superuser.
# CREATEROLE is for the roles of the services and of readers, which `andon migrate` makes.
set -eu
password=$(cat "$ANDON_PASSWORD_FILE")
[ -n "$password" ] || { echo "password postgres_owner is empty: run deploy/install.sh, which makes it" >&2; exit 1; }
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set=password="$password" <<'SQL'
CREATE ROLE andon LOGIN NOSUPERUSER CREATEROLE PASSWORD :'password';
CREATE DATABASE andon OWNER andon;
REVOKE ALL ON DATABASE andon FROM PUBLIC;
GRANT CONNECT ON DATABASE andon TO PUBLIC;
SQL
