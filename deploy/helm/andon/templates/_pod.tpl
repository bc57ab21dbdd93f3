{{/* The security context of every pod: what Pod Security `restricted` asks for. */}}
{{- define "andon.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* One container: (dict "root" $ "part" "setup" "name" "topics" "args" (list ...) "resources" ...). */}}
{{- define "andon.container" -}}
name: {{ .name }}
image: {{ default (include "andon.image" .root) .image | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with .command }}
command: {{ toJson . }}
{{- end }}
{{- with .args }}
args: {{ toJson . }}
{{- end }}
env:
{{- range $setting, $value := include "andon.settings" . | fromYaml }}
  - {name: {{ $setting }}, value: {{ $value | quote }}}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- include "andon.mounts" . | nindent 2 }}
{{- end }}

{{- define "andon.mounts" -}}
{{- if include "andon.secretKeys" . }}
- {name: passwords, mountPath: /etc/andon/passwords, readOnly: true}
{{- end }}
{{- if include "andon.has" (dict "what" "policy" "part" .part) }}
- {name: policy, mountPath: /etc/andon/policy.yaml, subPath: policy.yaml, readOnly: true}
{{- end }}
{{- if include "andon.has" (dict "what" "sources" "part" .part) }}
- {name: sources, mountPath: /etc/andon/sources.yaml, subPath: sources.yaml, readOnly: true}
{{- if .root.Values.sources.secret }}
- {name: source-secrets, mountPath: /etc/andon/secrets, readOnly: true}
{{- end }}
{{- end }}
{{- if eq .part "backup" }}
- {name: backups, mountPath: /var/backups/andon}
{{- end }}
{{- end }}

{{/* The keys of the Secret that a part is given, with commas between. */}}
{{- define "andon.secretKeys" -}}
{{- $keys := values (include "andon.passwords" . | fromYaml) }}
{{- if and .root.Values.postgres.ca (include "andon.has" (dict "what" "postgres" "part" .part)) }}{{ $keys = append $keys "postgres_ca" }}{{ end }}
{{- join "," (sortAlpha $keys) }}
{{- end }}

{{- define "andon.volumes" -}}
{{- $name := include "andon.name" .root }}
- {name: tmp, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
{{- with include "andon.secretKeys" . }}
- name: passwords
  secret:
    secretName: {{ $.root.Values.passwords }}
    defaultMode: 0440
    items:
    {{- range splitList "," . }}
      - {key: {{ . }}, path: {{ . }}}
    {{- end }}
{{- end }}
{{- if include "andon.has" (dict "what" "policy" "part" .part) }}
- {name: policy, configMap: {name: {{ default (printf "%s-policy" $name) .root.Values.policy.configMap }}}}
{{- end }}
{{- if include "andon.has" (dict "what" "sources" "part" .part) }}
- {name: sources, configMap: {name: {{ default (printf "%s-sources" $name) .root.Values.sources.configMap }}}}
{{- with .root.Values.sources.secret }}
- {name: source-secrets, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- end }}
{{- if eq .part "backup" }}
- {name: backups, persistentVolumeClaim: {claimName: {{ .root.Values.backup.claim }}}}
{{- end }}
{{- end }}

{{/* What all pods have besides their containers. Without service links: their variables begin with ANDON_ too. */}}
{{- define "andon.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- include "andon.podSecurity" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - {name: {{ . }}}
{{- end }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
volumes: {{- include "andon.volumes" . | nindent 2 }}
{{- end }}

{{/* Changes with the text of the files, so that an upgrade that changes them restarts who reads them. */}}
{{- define "andon.annotations" -}}
{{- $texts := dict }}
{{- if include "andon.has" (dict "what" "policy" "part" .part) }}{{ $_ := set $texts "policy" .root.Values.policy.text }}{{ end }}
{{- if include "andon.has" (dict "what" "sources" "part" .part) }}{{ $_ := set $texts "sources" .root.Values.sources.text }}{{ end }}
checksum/files: {{ toJson $texts | sha256sum }}
{{- with .root.Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
