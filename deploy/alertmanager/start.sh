#!/bin/sh
# Alertmanager reads no variables from the environment: this fills in its template.
set -eu
folder=${ALERTMANAGER_FOLDER:-/alertmanager}
# First for a YAML text in single quotes, then for the right side of sed's s command.
quoted() { printf '%s' "$1" | sed -e "s/'/''/g" -e 's/[&|\]/\\&/g'; }
watchdog=
[ -z "${ALERTS_WATCHDOG_URL:-}" ] || watchdog=", webhook_configs: [{url: '$ALERTS_WATCHDOG_URL'}]"
sed -e "s|@SMTP@|$(quoted "$ALERTS_SMTP")|" -e "s|@TLS@|$(quoted "$ALERTS_SMTP_TLS")|" \
  -e "s|@USERNAME@|$(quoted "$ALERTS_SMTP_USERNAME")|" -e "s|@PASSWORD_FILE@|$(quoted "$ALERTS_SMTP_PASSWORD_FILE")|" \
  -e "s|@FROM@|$(quoted "$ALERTS_FROM")|" -e "s|@TO@|$(quoted "$ALERTS_TO")|" \
  -e "s|@WATCHDOG@|$(printf '%s' "$watchdog" | sed -e 's/[&|\]/\\&/g')|" \
  "$(dirname "$0")/alertmanager.template.yml" >"$folder/alertmanager.yml"
exec "${ALERTMANAGER:-alertmanager}" --config.file="$folder/alertmanager.yml" --storage.path="$folder" "$@"
