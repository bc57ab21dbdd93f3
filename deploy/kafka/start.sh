#!/bin/sh
# Starts the broker of docker-compose.secure.yml. At the first start it formats its storage with a user for the operator
# and one for each service; kafka-configs.sh changes their passwords later.
set -eu
config=/etc/andon/kafka/server.properties
set --
for user in operator intake detector analyst enricher tickets notifier canary; do
  name=KAFKA_$(echo "$user" | tr a-z A-Z)_PASSWORD
  eval "password=\${$name:?set it in .env}"
  case $password in
    *[!A-Za-z0-9_.+/-]*) echo "$name: only letters, digits and _ . + / - can be given to kafka-storage.sh" >&2; exit 1 ;;
  esac
  set -- "$@" --add-scram "SCRAM-SHA-512=[name=andon-$user,password=$password]"
done
if [ ! -e /var/lib/kafka/data/meta.properties ]; then
  # It prints the keys that are made of the passwords, which no log may keep. Faults go to stderr.
  /opt/kafka/bin/kafka-storage.sh format -t "$CLUSTER_ID" -c "$config" "$@" >/dev/null
fi
exec /opt/kafka/bin/kafka-server-start.sh "$config"
