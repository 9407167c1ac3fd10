package kubernetes

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// What is kept of the objects of a cluster. There may be thousands of them, and most of what an API server tells of each is
// of no use here; some of it, such as environment variables and Secrets, must not be kept at all.

// longestMessage is how much is kept of what the system says of a state.
const longestMessage = 400

// trimmed makes a transform of the library out of what drops parts of one type. Anything else is left as it is, and so is
// what was trimmed before, for the library may give an object twice.
func trimmed[T metav1.Object](drop func(T)) cache.TransformFunc {
	return func(from any) (any, error) {
		if one, is := asObject[T](from); is && one.GetSelfLink() != trimMark {
			drop(one)
			one.SetSelfLink(trimMark) // no API server has filled this field for years
		}
		return from, nil
	}
}

const trimMark = "trimmed"

// trimMeta drops the annotations but for those named, and of the managed fields all but who set these paths.
func trimMeta(meta *metav1.ObjectMeta, annotations []string, paths ...[]string) {
	kept := map[string]string{}
	for _, name := range annotations {
		if value, has := meta.Annotations[name]; has {
			kept[name] = value
		}
	}
	meta.Annotations = kept
	if len(kept) == 0 {
		meta.Annotations = nil
	}
	meta.ManagedFields = managersOf(meta.ManagedFields, paths...)
	meta.GenerateName, meta.Finalizers = "", nil
}

// managersOf keeps the entries that own one of the paths, and of these nothing but the paths.
func managersOf(entries []metav1.ManagedFieldsEntry, paths ...[]string) []metav1.ManagedFieldsEntry {
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range entries {
		var owned []string
		for _, path := range paths {
			if owns(entry, path) {
				owned = append(owned, strings.Join(path, "/"))
			}
		}
		if len(owned) > 0 {
			raw, _ := json.Marshal(owned) // strings can be written
			kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager, Operation: entry.Operation, Time: entry.Time,
				Subresource: entry.Subresource, FieldsV1: metav1.NewFieldsV1(string(raw))})
		}
	}
	return kept
}

// owns looks the path up in the fields of an entry as an API server writes them: {"f:spec":{"f:replicas":{}}}.
func owns(entry metav1.ManagedFieldsEntry, path []string) bool {
	if entry.FieldsV1 == nil {
		return false
	}
	raw := json.RawMessage(entry.FieldsV1.GetRawBytes())
	for _, name := range path {
		var level map[string]json.RawMessage
		if json.Unmarshal(raw, &level) != nil || level["f:"+name] == nil {
			return false
		}
		raw = level["f:"+name]
	}
	return true
}

// settersOf are the entries of those who set the path. The entries are those that trimMeta kept.
func settersOf(meta metav1.ObjectMeta, path ...string) []metav1.ManagedFieldsEntry {
	var list []metav1.ManagedFieldsEntry
	for _, entry := range meta.ManagedFields {
		var owned []string
		if entry.FieldsV1 != nil && entry.Time != nil && json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) == nil &&
			slices.Contains(owned, strings.Join(path, "/")) {
			list = append(list, entry)
		}
	}
	return list
}

// latest is the entry that is the youngest; nil where there is none. Of several of one second it is not Jenner's own: what
// others changed must not be taken for its work.
func latest(entries []metav1.ManagedFieldsEntry) *metav1.ManagedFieldsEntry {
	var last *metav1.ManagedFieldsEntry
	for i, entry := range entries {
		if last == nil || last.Time.Before(entry.Time) || last.Time.Equal(entry.Time) && entry.Manager != fieldManager {
			last = &entries[i]
		}
	}
	return last
}

func trimPod(pod *corev1.Pod) {
	trimMeta(&pod.ObjectMeta, nil)
	spec := corev1.PodSpec{NodeName: pod.Spec.NodeName, RestartPolicy: pod.Spec.RestartPolicy}
	for _, container := range pod.Spec.Containers {
		spec.Containers = append(spec.Containers, corev1.Container{Name: container.Name, ReadinessProbe: trimProbe(container.ReadinessProbe)})
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			spec.Volumes = append(spec.Volumes, corev1.Volume{Name: volume.Name,
				VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: volume.PersistentVolumeClaim}})
		}
	}
	pod.Spec = spec
	status := corev1.PodStatus{Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: shortened(pod.Status.Message),
		PodIP: pod.Status.PodIP, StartTime: pod.Status.StartTime}
	for _, condition := range pod.Status.Conditions {
		condition.LastProbeTime, condition.Message = metav1.Time{}, shortened(condition.Message)
		status.Conditions = append(status.Conditions, condition)
	}
	status.ContainerStatuses = trimStatuses(pod.Status.ContainerStatuses)
	status.InitContainerStatuses = trimStatuses(pod.Status.InitContainerStatuses)
	pod.Status = status
}

// trimProbe keeps how long a container is given to become ready.
func trimProbe(probe *corev1.Probe) *corev1.Probe {
	if probe == nil {
		return nil
	}
	return &corev1.Probe{InitialDelaySeconds: probe.InitialDelaySeconds, PeriodSeconds: probe.PeriodSeconds, FailureThreshold: probe.FailureThreshold}
}

func trimStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var kept []corev1.ContainerStatus
	for _, status := range statuses {
		one := corev1.ContainerStatus{Name: status.Name, State: status.State, LastTerminationState: status.LastTerminationState,
			Ready: status.Ready, Started: status.Started, RestartCount: status.RestartCount}
		for _, state := range []*corev1.ContainerState{&one.State, &one.LastTerminationState} {
			if state.Waiting != nil {
				state.Waiting.Message = shortened(state.Waiting.Message)
			}
			if state.Terminated != nil {
				state.Terminated.Message, state.Terminated.ContainerID = shortened(state.Terminated.Message), ""
			}
		}
		kept = append(kept, one)
	}
	return kept
}

func shortened(message string) string {
	message = strings.TrimSpace(message)
	if len(message) <= longestMessage {
		return message
	}
	return strings.ToValidUTF8(message[:longestMessage], "") + "…"
}

func trimNode(node *corev1.Node) {
	trimMeta(&node.ObjectMeta, nil)
	for name := range node.Labels {
		if name != corev1.LabelTopologyZone && name != corev1.LabelTopologyRegion {
			delete(node.Labels, name)
		}
	}
	node.Spec = corev1.NodeSpec{Unschedulable: node.Spec.Unschedulable}
	status := corev1.NodeStatus{}
	for _, condition := range node.Status.Conditions {
		condition.LastHeartbeatTime, condition.Message = metav1.Time{}, shortened(condition.Message)
		status.Conditions = append(status.Conditions, condition)
	}
	node.Status = status
}

func trimEvent(event *corev1.Event) {
	trimMeta(&event.ObjectMeta, nil)
	event.Message = shortened(event.Message)
	event.InvolvedObject = corev1.ObjectReference{Kind: event.InvolvedObject.Kind, Name: event.InvolvedObject.Name,
		UID: event.InvolvedObject.UID, FieldPath: event.InvolvedObject.FieldPath}
	event.Source, event.ReportingController, event.ReportingInstance, event.Action = corev1.EventSource{}, "", "", ""
}

// The fields whose last author is told.
var (
	fieldTemplate = []string{"spec", "template", "spec"} // what sets only its annotations is a restart
	fieldReplicas = []string{"spec", "replicas"}
	fieldData     = []string{"data"}
	fieldBinary   = []string{"binaryData"}
	fieldStrings  = []string{"stringData"} // as somebody applied a Secret
)

// annotationRevision numbers the ReplicaSets of a Deployment.
const annotationRevision = "deployment.kubernetes.io/revision"

func trimDeployment(d *appsv1.Deployment) {
	trimMeta(&d.ObjectMeta, []string{annotationRevision}, fieldTemplate, fieldReplicas)
	trimTemplate(&d.Spec.Template)
	for i := range d.Status.Conditions {
		d.Status.Conditions[i].Message = shortened(d.Status.Conditions[i].Message)
	}
}

func trimStatefulSet(s *appsv1.StatefulSet) {
	trimMeta(&s.ObjectMeta, nil, fieldTemplate, fieldReplicas)
	trimTemplate(&s.Spec.Template)
	s.Spec.VolumeClaimTemplates = nil
}

func trimDaemonSet(d *appsv1.DaemonSet) {
	trimMeta(&d.ObjectMeta, nil, fieldTemplate)
	trimTemplate(&d.Spec.Template)
}

func trimReplicaSet(r *appsv1.ReplicaSet) {
	trimMeta(&r.ObjectMeta, []string{annotationRevision})
	trimTemplate(&r.Spec.Template)
	r.Status = appsv1.ReplicaSetStatus{}
}

// annotationRest says what a template is besides its images, without saying what is in it.
const annotationRest = "jenner.dev/rest"

// annotationRestarted is set by `kubectl rollout restart`, and by Jenner's own restart: it changes nothing but makes new pods.
const annotationRestarted = "kubectl.kubernetes.io/restartedAt"

// trimTemplate keeps the names and images of the containers, the names of the ConfigMaps and Secrets that they use, and a
// digest of all the rest, by which it is known that something else was changed.
func trimTemplate(template *corev1.PodTemplateSpec) {
	kept := corev1.PodTemplateSpec{}
	kept.Annotations = map[string]string{annotationRest: digestOf(template)}
	for _, container := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Name: container.Name, Image: container.Image})
	}
	for _, kind := range []string{kindConfigMap, kindSecret} {
		for _, name := range usedBy(template, kind) {
			kept.Spec.Volumes = append(kept.Spec.Volumes, corev1.Volume{Name: kind + "/" + name})
		}
	}
	*template = kept
}

// digestOf is of everything but the images, and but for what every rollout and every restart sets anew.
func digestOf(template *corev1.PodTemplateSpec) string {
	other := template.DeepCopy()
	delete(other.Annotations, annotationRestarted)
	if len(other.Annotations) == 0 {
		other.Annotations = nil
	}
	delete(other.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	for _, containers := range [][]corev1.Container{other.Spec.InitContainers, other.Spec.Containers} {
		for i := range containers {
			containers[i].Image = ""
		}
	}
	raw, _ := json.Marshal(other) // it came as JSON
	return digest(raw)
}

// digestKey makes the digests worthless outside of this process: what is guessed cannot be compared with them.
var digestKey = func() (key [32]byte) {
	_, _ = rand.Read(key[:]) // never fails, says its documentation
	return key
}()

func digest(content []byte) string {
	sum := sha256.New()
	sum.Write(digestKey[:])
	sum.Write(content)
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// usedBy are the names of the ConfigMaps or Secrets that a template's pods read, sorted.
func usedBy(template *corev1.PodTemplateSpec, kind string) []string {
	var names []string
	add := func(configMap, secret string) {
		if name := map[string]string{kindConfigMap: configMap, kindSecret: secret}[kind]; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, volume := range template.Spec.Volumes {
		if volume.ConfigMap != nil {
			add(volume.ConfigMap.Name, "")
		}
		if volume.Secret != nil {
			add("", volume.Secret.SecretName)
		}
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ConfigMap != nil {
				add(source.ConfigMap.Name, "")
			}
			if source.Secret != nil {
				add("", source.Secret.Name)
			}
		}
	}
	for _, container := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		usedByContainer(container, add)
	}
	slices.Sort(names)
	return names
}

func usedByContainer(container corev1.Container, add func(configMap, secret string)) {
	for _, from := range container.EnvFrom {
		if from.ConfigMapRef != nil {
			add(from.ConfigMapRef.Name, "")
		}
		if from.SecretRef != nil {
			add("", from.SecretRef.Name)
		}
	}
	for _, env := range container.Env {
		if env.ValueFrom == nil {
			continue
		}
		if env.ValueFrom.ConfigMapKeyRef != nil {
			add(env.ValueFrom.ConfigMapKeyRef.Name, "")
		}
		if env.ValueFrom.SecretKeyRef != nil {
			add("", env.ValueFrom.SecretKeyRef.Name)
		}
	}
}

func trimRevision(r *appsv1.ControllerRevision) {
	trimMeta(&r.ObjectMeta, nil)
	var data struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if json.Unmarshal(r.Data.Raw, &data) != nil {
		r.Data.Raw = nil // nobody can say what was in it
		return
	}
	trimTemplate(&data.Spec.Template)
	r.Data.Raw, _ = json.Marshal(data) // it was JSON
}

func trimAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) {
	trimMeta(&h.ObjectMeta, nil)
	h.Spec.Metrics, h.Spec.Behavior, h.Status.CurrentMetrics = nil, nil, nil
}

func trimJob(j *batchv1.Job) {
	trimMeta(&j.ObjectMeta, nil)
	j.Spec.Template = corev1.PodTemplateSpec{}
	j.Status.UncountedTerminatedPods = nil
}

func trimClaim(c *corev1.PersistentVolumeClaim) { trimMeta(&c.ObjectMeta, nil) }

// trimConfigMap keeps the names of the keys, each with a digest of its value.
func trimConfigMap(c *corev1.ConfigMap) {
	trimMeta(&c.ObjectMeta, nil, fieldData, fieldBinary)
	for key, value := range c.Data {
		c.Data[key] = digest([]byte(value))
	}
	for key, value := range c.BinaryData {
		if c.Data == nil {
			c.Data = map[string]string{}
		}
		c.Data[key] = digest(value)
	}
	c.BinaryData = nil
}

func trimSlice(s *discoveryv1.EndpointSlice) {
	trimMeta(&s.ObjectMeta, nil)
	s.Ports = nil
	for i, endpoint := range s.Endpoints {
		s.Endpoints[i] = discoveryv1.Endpoint{Conditions: endpoint.Conditions, TargetRef: endpoint.TargetRef}
	}
}
