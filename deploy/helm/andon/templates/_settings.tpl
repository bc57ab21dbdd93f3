{{/*
Which parts have what. Postgres: a role and a password; policy and sources: the files; mails: keys of links.
*/}}
{{- define "andon.has" -}}
{{- $parts := dict
  "postgres" (list "detector" "analyst" "enricher" "tickets" "notifier" "setup" "commands" "backup")
  "policy" (list "detector" "analyst" "enricher" "tickets" "notifier" "commands" "backup")
  "sources" (list "intake" "enricher" "commands" "backup")
  "owner" (list "setup" "commands" "backup")
}}
{{- if has .part (get $parts .what) }}yes{{ end }}
{{- end }}

{{/* The settings of a part that name files with passwords, each with its key in the Secret. */}}
{{- define "andon.passwords" -}}
{{- $values := .root.Values }}
{{- $isOwner := include "andon.has" (dict "what" "owner" "part" .part) }}
{{- if eq $values.kafka.security "sasl_tls" }}
ANDON_KAFKA_PASSWORD_FILE: kafka_{{ if $isOwner }}operator{{ else }}{{ .part }}{{ end }}
{{- end }}
{{- if $values.kafka.ca }}
ANDON_KAFKA_CA_FILE: kafka_ca
{{- end }}
{{- if include "andon.has" (dict "what" "postgres" "part" .part) }}
ANDON_POSTGRES_PASSWORD_FILE: postgres_{{ if $isOwner }}owner{{ else }}{{ .part }}{{ end }}
{{- end }}
{{- if eq .part "setup" }}
ANDON_REPORT_PASSWORD_FILE: report
ANDON_ROLE_DETECTOR_PASSWORD_FILE: postgres_detector
ANDON_ROLE_ANALYST_PASSWORD_FILE: postgres_analyst
ANDON_ROLE_TICKETS_PASSWORD_FILE: postgres_tickets
ANDON_ROLE_NOTIFIER_PASSWORD_FILE: postgres_notifier
ANDON_ROLE_ENRICHER_PASSWORD_FILE: postgres_enricher
{{- end }}
{{- if and $values.canary.enabled (has .part (list "intake" "canary")) }}
ANDON_CANARY_SECRET_FILE: canary
{{- end }}
{{- if and $values.mail.links (has .part (list "tickets" "notifier")) }}
ANDON_LINK_KEYS_FILE: link_keys
{{- end }}
{{- if and (eq .part "tickets") (eq $values.signIn.by "provider") }}
ANDON_SIGN_IN_CLIENT_SECRET_FILE: sign_in_client
{{- end }}
{{- if and (eq .part "notifier") $values.mail.username }}
ANDON_SMTP_PASSWORD_FILE: smtp
{{- end }}
{{- end }}

{{- define "andon.dsn" -}}
{{- $postgres := .root.Values.postgres }}
{{- $user := printf "andon_%s" .part }}
{{- if include "andon.has" (dict "what" "owner" "part" .part) }}{{ $user = $postgres.owner }}{{ end }}
{{- $options := printf "sslmode=%s" $postgres.tls }}
{{- if hasPrefix "verify" $postgres.tls }}
{{- $options = printf "%s&sslrootcert=%s" $options (ternary "/etc/andon/passwords/postgres_ca" "/etc/ssl/certs/ca-certificates.crt" $postgres.ca) }}
{{- end }}
{{- printf "postgresql://%s@%s:%v/%s?%s" $user $postgres.host $postgres.port $postgres.database $options }}
{{- end }}

{{/* The settings of a part: what the chart sets, then those of all services, then its own. */}}
{{- define "andon.settings" -}}
{{- $values := .root.Values }}
{{- $name := include "andon.name" .root }}
{{- $given := dict "ANDON_HOST" "0.0.0.0" "ANDON_PORT" "8080" "ANDON_KAFKA" $values.kafka.servers "ANDON_KAFKA_SECURITY" $values.kafka.security }}
{{- if $values.kafka.topicPrefix }}{{ $_ := set $given "ANDON_TOPIC_PREFIX" $values.kafka.topicPrefix }}{{ end }}
{{- range $setting, $key := include "andon.passwords" . | fromYaml }}{{ $_ := set $given $setting (printf "/etc/andon/passwords/%s" $key) }}{{ end }}
{{- if eq $values.kafka.security "sasl_tls" }}
{{- $_ := set $given "ANDON_KAFKA_USER" (printf "andon-%s" (ternary "operator" .part (include "andon.has" (dict "what" "owner" "part" .part) | eq "yes"))) }}
{{- end }}
{{- if include "andon.has" (dict "what" "postgres" "part" .part) }}{{ $_ := set $given "ANDON_POSTGRES" (include "andon.dsn" .) }}{{ end }}
{{- if include "andon.has" (dict "what" "policy" "part" .part) }}
{{- $_ := set $given "ANDON_POLICY" "/etc/andon/policy.yaml" }}
{{- $_ := set $given "ANDON_POLICY_MANAGED" $values.policy.managed }}
{{- end }}
{{- if include "andon.has" (dict "what" "sources" "part" .part) }}{{ $_ := set $given "ANDON_SOURCES" "/etc/andon/sources.yaml" }}{{ end }}
{{- if eq .part "tickets" }}
{{- $_ := set $given "ANDON_TICKETS_URL" $values.addresses.tickets }}
{{- $_ := set $given "ANDON_DETECTOR_URL" (printf "http://%s-detector:8080" $name) }}
{{- $_ := set $given "ANDON_SIGN_IN" $values.signIn.by }}
{{- range $setting, $value := dict "ANDON_SIGN_IN_ISSUER" $values.signIn.issuer "ANDON_SIGN_IN_CLIENT" $values.signIn.client "ANDON_SIGN_IN_PROXIES" $values.signIn.proxies }}
{{- if $value }}{{ $_ := set $given $setting $value }}{{ end }}
{{- end }}
{{- end }}
{{- if eq .part "notifier" }}
{{- with $values.mail }}
{{- $_ := set $given "ANDON_SMTP_HOST" .host }}
{{- $_ := set $given "ANDON_SMTP_PORT" (toString .port) }}
{{- $_ := set $given "ANDON_SMTP_SECURITY" .security }}
{{- $_ := set $given "ANDON_SMTP_SENDER" .sender }}
{{- if .username }}{{ $_ := set $given "ANDON_SMTP_USERNAME" .username }}{{ end }}
{{- if .heloName }}{{ $_ := set $given "ANDON_SMTP_HELO_NAME" .heloName }}{{ end }}
{{- end }}
{{- if $values.addresses.notifier }}{{ $_ := set $given "ANDON_NOTIFIER_URL" $values.addresses.notifier }}{{ end }}
{{- if $values.canary.enabled }}{{ $_ := set $given "ANDON_CANARY_MAIL" $values.canary.mail }}{{ end }}
{{- end }}
{{- if eq .part "canary" }}
{{- $_ := set $given "ANDON_CANARY_INTAKE" (default (printf "http://%s-intake:8080" $name) $values.canary.intake) }}
{{- end }}
{{- $own := dig .part "settings" (dict) $values.services }}
{{- toYaml (mergeOverwrite $given $values.settings $own) }}
{{- end }}
