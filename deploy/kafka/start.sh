#!/bin/sh
# Starts the broker of docker-compose.secure.yml. At the first start it formats its storage with a user for the operator
# and one for each service; kafka-configs.sh changes their passwords later.
set -eu
config=/etc/andon/kafka/server.properties
if [ ! -e /var/lib/kafka/data/meta.properties ]; then
  set --
  for user in operator intake detector analyst enricher tickets notifier canary; do
    password=$(cat "/run/secrets/kafka_$user")
    case $password in
      "") echo "password kafka_$user is empty: run deploy/install.sh --secure, which makes it" >&2; exit 1 ;;
      *[!A-Za-z0-9_.+/-]*) echo "kafka_$user: only letters, digits and _ . + / - can be given to kafka-storage.sh" >&2; exit 1 ;;
    esac
    set -- "$@" --add-scram "SCRAM-SHA-512=[name=andon-$user,password=$password]"
  done
  # It prints the keys that are made of the passwords, which no log may keep. Faults go to stderr.
  /opt/kafka/bin/kafka-storage.sh format -t "$CLUSTER_ID" -c "$config" "$@" >/dev/null
fi
exec /opt/kafka/bin/kafka-server-start.sh "$config"
