{{/* Peers of a rule; none: anybody. */}}
{{- define "andon.peers" -}}
{{- if . }}{{ toJson . }}{{ else }}[]{{ end }}
{{- end }}

{{- define "andon.ingress" -}}
{{- $policies := .root.Values.networkPolicies }}
{{- $monitoring := $policies.monitoring }}
{{- $rules := list }}
{{- $http := dict "port" "http" }}
{{- if hasKey $policies.from .part }}
{{- $ports := list $http }}
{{- range .values.extraPorts }}{{ $ports = append $ports (dict "port" .name) }}{{ end }}
{{- $peers := get $policies.from .part }}
{{- if and $peers (eq .part "intake") }}{{ $peers = append $peers (include "andon.peer" (dict "root" .root "part" "canary") | fromYaml) }}{{ end }}
{{- $rules = append $rules (dict "from" $peers "ports" $ports) }}
{{- end }}
{{- if eq .part "detector" }}
{{- $rules = append $rules (dict "from" (list (include "andon.peer" (dict "root" .root "part" "tickets") | fromYaml)) "ports" (list $http)) }}
{{- end }}
{{- if and $monitoring (hasKey .values "replicas") }}
{{- $rules = append $rules (dict "from" $monitoring "ports" (list $http)) }}
{{- end }}
{{- toYaml (dict "ingress" $rules) }}
{{- end }}

{{/* The pods of another part of this installation, as a peer. */}}
{{- define "andon.peer" -}}
podSelector: {matchLabels: {{ include "andon.selector" . | fromYaml | toJson }}}
{{- end }}

{{- define "andon.egress" -}}
{{- $values := .root.Values }}
{{- $policies := $values.networkPolicies }}
{{- $dns := list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP") }}
{{- $rules := list (dict "to" $policies.dns.to "ports" $dns) }}
{{- $kafka := list }}
{{- range $policies.kafka.ports }}{{ $kafka = append $kafka (dict "port" .) }}{{ end }}
{{- $rules = append $rules (dict "to" $policies.kafka.to "ports" $kafka) }}
{{- if include "andon.has" (dict "what" "postgres" "part" .part) }}
{{- $rules = append $rules (dict "to" $policies.postgres.to "ports" (list (dict "port" $values.postgres.port))) }}
{{- end }}
{{- if eq .part "notifier" }}
{{- $rules = append $rules (dict "to" $policies.mail.to "ports" (list (dict "port" $values.mail.port))) }}
{{- end }}
{{- if eq .part "tickets" }}
{{- $rules = append $rules (dict "to" (list (include "andon.peer" (dict "root" .root "part" "detector") | fromYaml)) "ports" (list (dict "port" "http"))) }}
{{- end }}
{{- if and (eq .part "canary") (not $values.canary.intake) }}
{{- $rules = append $rules (dict "to" (list (include "andon.peer" (dict "root" .root "part" "intake") | fromYaml)) "ports" (list (dict "port" "http"))) }}
{{- end }}
{{- /* The APIs of CRMs, the provider of sign-in, hooks, the address at which CRMs reach intake. */}}
{{- if or (has .part (list "enricher" "notifier" "commands")) (and (eq .part "tickets") (eq $values.signIn.by "provider")) (and (eq .part "canary") $values.canary.intake) }}
{{- $rules = append $rules (dict "ports" (list (dict "port" 443))) }}
{{- end }}
{{- toYaml (dict "egress" (concat $rules (default list .values.egress))) }}
{{- end }}
