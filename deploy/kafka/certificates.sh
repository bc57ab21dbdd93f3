#!/bin/sh
# Makes a CA and the broker's certificate: certificates.sh FOLDER [HOST ...]. HOST: names by which clients call it.
# ca.pem goes to every client (ANDON_KAFKA_CA_FILE), broker.pem only to the broker. Keeps a CA that is there.
set -eu
umask 077
folder=$1; shift
names="DNS:kafka,DNS:localhost,IP:127.0.0.1"
for host in "$@"; do
  case $host in *[!0-9.]*) names="$names,DNS:$host" ;; *) names="$names,IP:$host" ;; esac
done
mkdir -p "$folder"
cd "$folder"
if [ ! -e ca.key ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=andon-ca" -keyout ca.key -out ca.pem \
    -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
fi
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=andon-broker" -keyout broker.key -out broker.csr 2>/dev/null
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$names" > broker.ext
openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile broker.ext \
  -out broker.crt 2>/dev/null
cat broker.key broker.crt ca.pem > broker.pem
rm broker.key broker.csr broker.ext broker.crt
chmod 644 ca.pem
# The user in the broker's container.
if [ "$(id -u)" = 0 ]; then chown 1000 broker.pem; fi
