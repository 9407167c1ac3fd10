package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// shownTemplate is a trimmed one with a container of that image.
func shownTemplate(image, args string, more ...corev1.Container) corev1.PodTemplateSpec {
	one := corev1.PodTemplateSpec{}
	one.Spec.Containers = append([]corev1.Container{{Name: "app", Image: image, Args: []string{args}}}, more...)
	trimTemplate(&one)
	return one
}

func TestTemplateDifference(t *testing.T) {
	restarted := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationRestarted: "now"},
		Labels: map[string]string{"pod-template-hash": "6c5f"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "shop:v1", Args: []string{"a"}}}}}
	trimTemplate(&restarted)
	for name, c := range map[string]struct {
		after corev1.PodTemplateSpec
		want  string
	}{
		"the same":            {shownTemplate("shop:v1", "a"), ""},
		"only restarted":      {restarted, ""},
		"another image":       {shownTemplate("shop:v2", "a"), "image shop:v1 → shop:v2"},
		"another argument":    {shownTemplate("shop:v1", "b"), "the template, with the same images"},
		"both":                {shownTemplate("shop:v2", "b"), "image shop:v1 → shop:v2"},
		"one more container":  {shownTemplate("shop:v1", "a", corev1.Container{Name: "proxy", Image: "envoy:1"}), "container proxy added, image envoy:1"},
		"none of them stayed": {corev1.PodTemplateSpec{}, "container app removed"},
	} {
		before := shownTemplate("shop:v1", "a")
		if got, same := templateDifference(before, c.after); got != c.want || same != (c.want == "") {
			t.Errorf("%s: %q, the same: %v", name, got, same)
		}
	}
}

func TestLastRollout(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	by := &metav1.ManagedFieldsEntry{Manager: "argocd", Time: &metav1.Time{Time: at(30)}}
	v1, v2, v3 := shownTemplate("shop:v1", ""), shownTemplate("shop:v2", ""), shownTemplate("shop:v3", "")
	for name, c := range map[string]struct {
		editions []edition
		by       *metav1.ManagedFieldsEntry
		want     string
	}{
		"the first":                  {[]edition{{1, at(0), v1}}, by, ""},
		"none":                       {nil, by, ""},
		"the second":                 {[]edition{{1, at(0), v1}, {2, at(10), v2}}, by, "12:10:00 argocd image shop:v1 → shop:v2"},
		"in any order":               {[]edition{{2, at(10), v2}, {3, at(20), v3}, {1, at(0), v1}}, by, "12:20:00 argocd image shop:v2 → shop:v3"},
		"by nobody knows whom":       {[]edition{{1, at(0), v1}, {2, at(10), v2}}, nil, "12:10:00  image shop:v1 → shop:v2"},
		"restarted since":            {[]edition{{1, at(0), v1}, {2, at(10), v2}, {3, at(20), v2}}, by, "12:10:00 argocd image shop:v1 → shop:v2"},
		"back to the first":          {[]edition{{3, at(0), v1}, {2, at(10), v2}}, by, "12:30:00 argocd image shop:v2 → shop:v1, as it was before"},
		"back, nobody knows by whom": {[]edition{{3, at(0), v1}, {2, at(10), v2}}, nil, "12:00:00  image shop:v2 → shop:v1, as it was before"},
	} {
		event, is := lastRollout("deployment/web", c.editions, c.by)
		got := ""
		if is {
			got = fmt.Sprintf("%s %s %s", event.At.Format(time.TimeOnly), event.By, event.Summary)
		}
		if got != c.want || is && (event.Kind != jenner.ChangeDeploy || event.Object != "deployment/web") {
			t.Errorf("%s: %q of %s, want %q", name, got, event.Object, c.want)
		}
	}
}

func TestChangedKeys(t *testing.T) {
	was := map[string]string{"a": "1", "b": "2", "c": "3"}
	for want, is := range map[string]map[string]string{"": was, "changed: a, b": {"a": "2", "b": "1", "c": "3"}, "added: d": {"a": "1", "b": "2", "c": "3", "d": "4"},
		"removed: b, c": {"a": "1"}, "changed: a; added: d; removed: b, c": {"a": "0", "d": "4"}} {
		if got := changedKeys(was, is); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}

// changesHeard is a sink that remembers changes.
type changesHeard struct {
	telemetry.Sink
	events []jenner.ChangeEvent
}

func (c *changesHeard) Changed(event jenner.ChangeEvent) { c.events = append(c.events, event) }

func (c *changesHeard) texts() []string {
	var list []string
	for _, e := range c.events {
		list = append(list, fmt.Sprintf("%s %s %s %s: %s", e.Service, e.Kind, e.At.UTC().Format(time.TimeOnly), e.By, e.Summary))
	}
	c.events = nil
	return list
}

// heardOf is a history of the targets of the service shop, and what it tells.
func heardOf(t *testing.T, targets ...jenner.Target) (*history, *changesHeard) {
	t.Helper()
	heard, in := &changesHeard{}, &realm{namespace: "shop"}
	for _, target := range targets {
		in.subjects = append(in.subjects, madeSubject(t, target))
	}
	return newHistory(&view{realm: in, sink: heard}), heard
}

// TestContentChanges follows a ConfigMap, a step at a time.
func TestContentChanges(t *testing.T) {
	h, heard := heardOf(t, jenner.Target{Kind: kindConfigMap, Name: "settings"})
	everybody := func(subject) bool { return true }
	entry := func(manager string, ago time.Duration) *metav1.ManagedFieldsEntry {
		return &metav1.ManagedFieldsEntry{Manager: manager, Time: &metav1.Time{Time: noon.Add(-ago)}}
	}
	hour := noon.Add(-time.Hour)
	for i, c := range []struct {
		is   content
		want []string
	}{
		{content{map[string]string{"a": "1"}, hour, entry("helm", time.Minute)}, []string{"shop config 11:59:00 helm: changed"}}, // before it was looked at
		{content{map[string]string{"a": "1"}, hour, entry("helm", time.Minute)}, nil},
		{content{map[string]string{"a": "2"}, hour, entry("kubectl-edit", 0)}, []string{"shop config 12:00:00 kubectl-edit: changed: a"}},
		{content{map[string]string{"a": "3"}, hour, entry(fieldManager, 0)}, nil}, // by Jenner
		{content{map[string]string{"a": "4"}, hour, nil}, []string{"shop config 12:00:00 : changed: a"}},
		{content{}, []string{"shop config 12:00:00 : deleted"}},
		{content{}, nil},
		{content{map[string]string{"a": "4"}, noon, entry("helm", 0)}, []string{"shop config 12:00:00 helm: created"}},
		{content{map[string]string{"b": "5"}, noon.Add(time.Second), entry("helm", 0)}, []string{"shop config 12:00:00 helm: created"}}, // made anew between two looks
	} {
		h.contentChanged(jenner.ChangeEvent{Kind: jenner.ChangeConfig, Object: "configmap/settings"}, c.is, noon, everybody)
		if got := heard.texts(); !slices.Equal(got, c.want) {
			t.Errorf("step %d: %q, want %q", i+1, got, c.want)
		}
	}
	h.contentChanged(jenner.ChangeEvent{Object: "configmap/old"}, content{map[string]string{"a": "1"}, noon.AddDate(0, 0, -9), entry("helm", 48*time.Hour)}, noon, everybody)
	h.contentChanged(jenner.ChangeEvent{Object: "configmap/other"}, content{map[string]string{"a": "1"}, hour, entry("helm", 0)}, noon, func(subject) bool { return false })
	if got := heard.texts(); len(got) > 0 {
		t.Errorf("of one that was changed long ago, and of another's: %q", got)
	}
}

// TestSetter: of several who set a field within one second it is the one who came since the last look.
func TestSetter(t *testing.T) {
	h, _ := heardOf(t)
	one := metav1.ObjectMeta{ManagedFields: *readObject[[]metav1.ManagedFieldsEntry](t, managed)}
	two := *one.DeepCopy()
	two.ManagedFields[1].Manager, two.ManagedFields[1].Time = "somebody", one.ManagedFields[0].Time
	trimMeta(&one, nil, fieldTemplate)
	trimMeta(&two, nil, fieldTemplate)
	late := *two.DeepCopy()
	late.ManagedFields = append(late.ManagedFields, late.ManagedFields[1])
	late.ManagedFields[0].Manager = "aaa"
	for i, c := range []struct {
		meta metav1.ObjectMeta
		want string
	}{{one, "argocd"}, {one, "argocd"}, {two, "somebody"}, {two, "somebody"}, {late, "aaa"}, {metav1.ObjectMeta{}, "aaa"}} {
		if by := h.setter("deployment/web", c.meta, fieldTemplate); by == nil || by.Manager != c.want {
			t.Errorf("look %d: %+v, want %s", i+1, by, c.want)
		}
	}
	at := &metav1.Time{Time: noon}
	for _, managers := range [][]string{{"argocd", fieldManager}, {fieldManager, "argocd"}} {
		if by := latest([]metav1.ManagedFieldsEntry{{Manager: managers[0], Time: at}, {Manager: managers[1], Time: at}}); by.Manager != "argocd" {
			t.Errorf("of %v within one second it is %s", managers, by.Manager)
		}
	}
	if by := h.setter("deployment/web", one, fieldReplicas); by != nil {
		t.Errorf("another field was set by %+v", by)
	}
}

func TestScaling(t *testing.T) {
	by := &metav1.ManagedFieldsEntry{Manager: "kubectl", Subresource: "scale", Time: &metav1.Time{Time: noon.Add(-time.Minute)}}
	applied := &metav1.ManagedFieldsEntry{Manager: "helm", Time: by.Time}
	for name, c := range map[string]struct {
		was, is int32
		known   bool
		by      *metav1.ManagedFieldsEntry
		want    string
	}{
		"more":                        {3, 5, true, by, "11:59:00 kubectl pods 3 → 5"},
		"to none":                     {3, 0, true, nil, "12:00:00  pods 3 → 0"},
		"the same":                    {3, 3, true, by, ""},
		"looked at first":             {0, 5, false, by, "11:59:00 kubectl pods → 5"},
		"looked at first, not scaled": {0, 5, false, applied, ""},
	} {
		event, is := scaling("deployment/web", c.was, c.is, c.known, c.by, noon)
		got := ""
		if is {
			got = fmt.Sprintf("%s %s %s", event.At.Format(time.TimeOnly), event.By, event.Summary)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestUsedBy(t *testing.T) {
	d := readObject[appsv1.Deployment](t, `spec: {selector: {}, template: {spec: {
  volumes: [{name: a, configMap: {name: files}}, {name: b, secret: {secretName: keys}}, {name: c, projected: {sources: [{configMap: {name: more}}, {secret: {name: certs}}]}}],
  initContainers: [{name: init, envFrom: [{configMapRef: {name: start}}]}],
  containers: [{name: app, envFrom: [{secretRef: {name: env}}], env: [{name: A, valueFrom: {configMapKeyRef: {name: one, key: a}}}, {name: B, valueFrom: {secretKeyRef: {name: two, key: b}}}, {name: C, value: x}]}]}}}`)
	for kind, want := range map[string]string{kindConfigMap: "files more one start", kindSecret: "certs env keys two"} {
		if got := strings.Join(usedBy(&d.Spec.Template, kind), " "); got != want {
			t.Errorf("of kind %s it uses %q, want %q", kind, got, want)
		}
	}
}
