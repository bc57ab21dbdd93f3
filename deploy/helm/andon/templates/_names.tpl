{{- define "andon.name" -}}
{{- ternary .Release.Name (printf "%s-andon" .Release.Name) (contains "andon" .Release.Name) | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* What selects the pods of one part: (dict "root" $ "part" "intake"). */}}
{{- define "andon.selector" -}}
app.kubernetes.io/name: andon
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "andon.labels" -}}
{{ include "andon.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "andon.metadata" -}}
name: {{ include "andon.name" .root }}-{{ .part }}
labels: {{- include "andon.labels" . | nindent 2 }}
{{- end }}

{{- define "andon.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* The services that run, each with its values. The canary's replicas would only disturb each other. */}}
{{- define "andon.running" -}}
{{- $running := dict }}
{{- range $part, $values := .Values.services }}
{{- if dig "enabled" true $values }}{{ $_ := set $running $part $values }}{{ end }}
{{- end }}
{{- with .Values.canary }}
{{- if .enabled }}{{ $_ := set $running "canary" (dict "replicas" 1 "resources" .resources "extraPorts" list "egress" list) }}{{ end }}
{{- end }}
{{- toYaml $running }}
{{- end }}
