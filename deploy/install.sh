#!/usr/bin/env bash
# Prepares and starts Andon on this server with Compose. Run it again at any time: it keeps what is there.
#   deploy/install.sh [--prepare] [--demo] [--secure] [--owner MAIL] [--force]
# --prepare: only settings and passwords. --demo: with a simulated CRM. --secure: Kafka with TLS and users, from the first
# start on. --owner: mail address of the first account. --force: even where memory, disk or version speak against it.
set -euo pipefail
cd "$(dirname "$0")/.."

LEAST_MEMORY_MB=3500 LEAST_DISK_MB=10000 LEAST_COMPOSE=2.24.0
prepare='' demo='' secure='' owner='' force=''
while [ $# -gt 0 ]; do
  case $1 in
    --prepare) prepare=1 ;;
    --demo) demo=1 ;;
    --secure) secure=1 ;;
    --force) force=1 ;;
    --owner) owner=${2:?--owner needs a mail address}; shift ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done

say() { printf 'install: %s\n' "$*" >&2; }
refuse() { # Unless --force was given.
  say "$*"
  [ -n "$force" ] || { say 'nothing was started; change that, or use --force'; exit 1; }
}
is_older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

setting() { sed -n "s/^$1=//p" .env | tail -n 1 | sed -e "s/^[\"']//" -e "s/[\"']\$//"; }
set_if_missing() { grep -q "^$1=" .env || printf '%s=%s\n' "$1" "$2" >>.env; }

check_machine() {
  local memory disk
  memory=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
  disk=$(df -Pm . | awk 'NR == 2 {print $4}')
  [ "$memory" -ge "$LEAST_MEMORY_MB" ] || refuse "this server has $memory MB of memory, and Andon needs $LEAST_MEMORY_MB"
  [ "$disk" -ge "$LEAST_DISK_MB" ] || refuse "$disk MB are free on the disk, and Andon needs $LEAST_DISK_MB"
}

check_engine() {
  local compose before now
  docker info >/dev/null 2>&1 || { say 'Docker does not answer: start it, or run this as a user who may use it'; exit 1; }
  compose=$(docker compose version --short 2>/dev/null || true)
  compose=${compose#v}
  if [ -z "$compose" ] || is_older "$compose" "$LEAST_COMPOSE"; then
    refuse "Compose ${compose:-is missing, and its version} must be $LEAST_COMPOSE or newer"
  fi
  now=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
  before=$(docker image inspect -f '{{index .Config.Labels "org.opencontainers.image.version"}}' andon:local 2>/dev/null || true)
  if [ -n "$before" ] && [ "$before" != '<no value>' ] && is_older "$now" "$before"; then
    refuse "Andon $before is installed, which is newer than $now: its tables cannot go back; restore a backup of $now"
  fi
}

# A password: what is in its file, else in .env, where earlier versions kept it, else a new one.
password() { # FILE VARIABLE [optional]
  local file=$passwords/$1 value
  [ ! -s "$file" ] || return 0
  value=$(setting "$2")
  if [ -n "$value" ]; then
    say "$2 of .env is in $file now"
  elif [ -z "${3:-}" ]; then
    value=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  fi
  printf '%s' "$value" >"$file.new"
  # Readable for the user of each container that gets it. On the server the folder keeps others out.
  chmod 444 "$file.new"
  mv -f "$file.new" "$file"
  sed -i "/^$2=/d" .env
}

make_passwords() {
  local service
  passwords=${PASSWORDS_FOLDER:-$(setting PASSWORDS_FOLDER)}
  passwords=${passwords:-deploy/passwords}
  mkdir -p "$passwords"
  chmod 700 "$passwords"
  password postgres_admin POSTGRES_ADMIN_PASSWORD
  password postgres_owner POSTGRES_PASSWORD
  for service in detector analyst tickets notifier enricher; do
    password "postgres_$service" "POSTGRES_${service^^}_PASSWORD"
  done
  password report REPORT_PASSWORD
  password grafana GRAFANA_PASSWORD
  password canary CANARY_SECRET
  password link_keys LINK_KEYS optional
  password sign_in_client SIGN_IN_CLIENT_SECRET optional
  password smtp SMTP_PASSWORD optional
  password alerts_smtp ALERTS_SMTP_PASSWORD optional
  case $(setting COMPOSE_FILE) in *secure*)
    for service in operator intake detector analyst enricher tickets notifier canary; do
      password "kafka_$service" "KAFKA_${service^^}_PASSWORD"
    done ;;
  esac
}

make_secure() {
  local certificates
  certificates=$(setting KAFKA_CERTIFICATES)
  certificates=${certificates:-deploy/kafka/certificates}
  if [ -z "$prepare" ] && [ -z "$(setting COMPOSE_FILE)" ] && [ -n "$(docker compose ps -aq kafka)" ]; then
    refuse 'Kafka has run without users here, and its storage cannot be changed'
  fi
  set_if_missing COMPOSE_FILE docker-compose.yml:docker-compose.secure.yml
  [ -e "$certificates/broker.pem" ] || sh deploy/kafka/certificates.sh "$certificates"
}

make_demo() {
  set_if_missing ANDON_POLICY_FILE ./services/demo/policy.yaml
  [ -n "$(setting HUBSPOT_SECRET)" ] || { sed -i '/^HUBSPOT_SECRET=/d' .env; set_if_missing HUBSPOT_SECRET "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"; }
  case $(setting COMPOSE_PROFILES) in *demo*) ;; *) sed -i 's/^COMPOSE_PROFILES=/COMPOSE_PROFILES=demo,/' .env ;; esac
}

make_settings() {
  if [ ! -e .env ]; then
    (umask 077 && cp .env.example .env)
    say 'settings are in .env: look through them'
  fi
  set_if_missing COMPOSE_PROFILES watch,backup
  [ -z "$secure" ] || make_secure
  [ -z "$demo" ] || make_demo
  make_passwords
}

first_account() {
  local andon=(docker compose exec -T tickets andon) sign_in
  sign_in=$(setting SIGN_IN)
  # Elsewhere people have their accounts.
  [ "${sign_in:-password}" = password ] || return 0
  [ "$("${andon[@]}" user list --format json | tr -d '[:space:]')" = '[]' ] || return 0
  if [ -z "$owner" ] && [ -t 0 ]; then
    read -r -p 'Mail address of the first account, an admin (empty: later): ' owner
  fi
  if [ -n "$owner" ]; then
    say 'choose a password at this link, which works once:'
    "${andon[@]}" user add "$owner" --role admin
  else
    say 'whoever opens this link makes the first account, an admin:'
    "${andon[@]}" user first
  fi
}

check_machine
[ -n "$prepare" ] || check_engine
make_settings
if [ -n "$prepare" ]; then
  say 'prepared; start with: docker compose up -d --build --wait'
  exit 0
fi
docker compose up -d --build --wait
first_account
say 'Andon runs: docker compose ps'
