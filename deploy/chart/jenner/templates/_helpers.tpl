{{- define "jenner.name" -}}
{{- if contains "jenner" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-jenner" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "jenner.account" -}}
{{ .Values.serviceAccount.name | default (include "jenner.name" .) }}
{{- end }}

{{- define "jenner.selector" -}}
app.kubernetes.io/name: jenner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "jenner.labels" -}}
{{ include "jenner.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
{{- end }}

{{- define "jenner.watch" -}}
{{ .Values.watch | default (list .Release.Namespace) | toJson }}
{{- end }}
