#!/bin/sh
# In the container `setup`, at every `up`: topics, rights, tables, roles. Leaves alone what is there.
set -eu
for secret in /run/secrets/*; do
  [ -s "$secret" ] || { echo "password ${secret##*/} is empty: run deploy/install.sh, which makes it" >&2; exit 1; }
done
# A broker that accepts connections may not create topics for a moment more.
tries=10
until andon topics create; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 2
done
[ "${ANDON_KAFKA_SECURITY:-plaintext}" = plaintext ] || andon topics acl --apply
andon migrate
