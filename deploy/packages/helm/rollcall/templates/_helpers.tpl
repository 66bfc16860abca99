{{- define "rollcall.name" -}}
{{- printf "%s-%s" .Release.Name .component | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "rollcall.selector" -}}
app.kubernetes.io/name: rollcall
app.kubernetes.io/instance: {{ .Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "rollcall.labels" -}}
{{ include "rollcall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "rollcall.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}{{ if hasPrefix "sha256:" $tag }}@{{ else }}:{{ end }}{{ $tag }}
{{- end -}}

{{- /* A component's secrets: those of all, and its own; the set-up's are the API's and its own. */ -}}
{{- define "rollcall.secrets" -}}
{{- $own := (index .Values .component).secrets -}}
{{- if eq .component "setup" -}}
{{- $own = merge (dict) $own .Values.api.secrets -}}
{{- end -}}
{{- merge (dict) $own .Values.secrets | toJson -}}
{{- end -}}

{{- /* What all pods have alike; the component says which settings and secrets. */ -}}
{{- define "rollcall.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
{{- with include "rollcall.secrets" . | fromJson }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        {{- range $name, $reference := . }}
        - secret:
            name: {{ $reference.secret }}
            items: [{key: {{ $reference.key | quote }}, path: {{ $name }}}]
        {{- end }}
{{- end }}
{{- with .Values.volumes }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rollcall.container" -}}
image: {{ include "rollcall.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  {{- $secrets := include "rollcall.secrets" . | fromJson }}
  {{- range $name, $value := merge (dict) (index .Values .component).settings .Values.settings }}
  {{- /* Numbers come as float64, which Go would print as 4.294967296e+09. */}}
  - {name: {{ $name }}, value: {{ (kindIs "float64" $value | ternary (printf "%.0f" (float64 $value)) ($value | toString)) | quote }}}
  {{- end }}
  {{- range $name, $reference := $secrets }}
  - {name: {{ $name }}_FILE, value: /run/secrets/rollcall/{{ $name }}}
  {{- end }}
resources: {{ toJson (index .Values .component).resources }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if $secrets }}
  - {name: secrets, mountPath: /run/secrets/rollcall, readOnly: true}
  {{- end }}
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
