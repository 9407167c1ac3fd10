package kubernetes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
)

// TestNothingSecretIsKept: of what is watched, no value of a Secret, a ConfigMap or an environment variable stays.
func TestNothingSecretIsKept(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	env := fmt.Sprintf(`{containers: [{name: app, image: "shop:v1", args: [%[1]s], env: [{name: A, value: %[1]s}, {name: B, valueFrom: {secretKeyRef: {name: keys, key: b}}}]}]}`, secret)
	template := "template: {metadata: {annotations: {a: " + secret + "}}, spec: " + env + "}"
	meta := "metadata: {name: web, annotations: {kubectl.kubernetes.io/last-applied-configuration: " + secret + "}}\n"
	revision := &appsv1.ControllerRevision{}
	revision.Data.Raw = json.RawMessage(fmt.Sprintf(`{"spec":{"template":{"$patch":"replace","spec":{"containers":[{"name":"app","image":"shop:v1","args":[%q]}]}}}}`, secret))
	for name, trim := range map[string]func() (any, error){
		"secret": func() (any, error) {
			return theSecrets.trim(readObject[corev1.Secret](t, meta+"stringData: {}\ndata: {key: Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==}"))
		},
		"configmap": func() (any, error) {
			return theConfigMaps.trim(readObject[corev1.ConfigMap](t, meta+"data: {key: "+secret+"}\nbinaryData: {other: Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==}"))
		},
		"pod": func() (any, error) { return thePods.trim(readObject[corev1.Pod](t, meta+"spec: "+env)) },
		"deployment": func() (any, error) {
			return theDeployments.trim(readObject[appsv1.Deployment](t, meta+"spec: {selector: {}, "+template+"}"))
		},
		"statefulset": func() (any, error) {
			return theStatefulSets.trim(readObject[appsv1.StatefulSet](t, meta+"spec: {serviceName: x, selector: {}, "+template+"}"))
		},
		"daemonset": func() (any, error) {
			return theDaemonSets.trim(readObject[appsv1.DaemonSet](t, meta+"spec: {selector: {}, "+template+"}"))
		},
		"replicaset": func() (any, error) {
			return theReplicaSets.trim(readObject[appsv1.ReplicaSet](t, meta+"spec: {selector: {}, "+template+"}"))
		},
		"controllerrevision": func() (any, error) { return theRevisions.trim(revision) },
	} {
		t.Run(name, func(t *testing.T) {
			kept, err := trim()
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%s %+v", jenner.Raw(kept), kept)
			for _, value := range []string{secret, "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ"} {
				if strings.Contains(text, value) {
					t.Errorf("kept: %s", text)
				}
			}
			first := string(jenner.Raw(kept))
			again, err := map[string]*watchable{"secret": theSecrets, "configmap": theConfigMaps, "pod": thePods, "deployment": theDeployments, "statefulset": theStatefulSets,
				"daemonset": theDaemonSets, "replicaset": theReplicaSets, "controllerrevision": theRevisions}[name].trim(kept)
			if second := string(jenner.Raw(again)); err != nil || second != first {
				t.Errorf("trimmed twice it is another: %v\n%s\n%s", err, first, second)
			}
		})
	}
}

// TestWhatIsKeptOfContents: the keys, and that a value is another.
func TestWhatIsKeptOfContents(t *testing.T) {
	kept := func(value string) map[string]string {
		c := &corev1.ConfigMap{Data: map[string]string{"a": value, "b": "same"}, BinaryData: map[string][]byte{"c": []byte(value)}}
		trimConfigMap(c)
		return c.Data
	}
	if got := changedKeys(kept("x"), kept("y")); got != "changed: a, c" {
		t.Errorf("what differs is %q", got)
	}
	if got := changedKeys(kept("x"), kept("x")); got != "" {
		t.Errorf("of the same %q differs", got)
	}
}

func TestLifetime(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		chain      []byte
		ends, warn time.Duration // from noon; zero: none
	}{
		"of ninety days": {certificate(t, noon, 90*day), 90 * day, 76 * day},
		"of a day":       {certificate(t, noon, day), day, 20 * time.Hour},
		"of a year":      {append(certificate(t, noon, 365*day), certificate(t, noon, day)...), 365 * day, 351 * day},
		"none":           {nil, 0, 0},
		"no certificate": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), 0, 0},
		"a key":          {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), 0, 0},
	} {
		ends, warn := lifetime(c.chain)
		if c.ends == 0 {
			if !ends.IsZero() || !warn.IsZero() {
				t.Errorf("%s: it ends at %s", name, ends)
			}
			continue
		}
		if ends.Sub(noon) != c.ends || warn.Sub(noon) != c.warn {
			t.Errorf("%s: it ends after %s, and that is told after %s", name, ends.Sub(noon), warn.Sub(noon))
		}
	}
}

// certificate is one that is shown for a time.
func certificate(t *testing.T, from time.Time, life time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.Add(life)}
	raw, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

func TestCertificateFacts(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "tls"}, Data: map[string][]byte{"tls.crt": certificate(t, noon, 90*24*time.Hour)}}
	trimSecret(secret)
	for _, c := range []struct {
		days       int
		want, says string
		severity   jenner.Severity
	}{
		{0, "again 12:00:00", "", ""},
		{76, "CertificateExpiring 12:00:00 again 12:00:00", "ends at 2027-02-20T12:00:00Z and was not renewed yet", jenner.SeverityTicket},
		{90, "CertificateExpired 12:00:00", "ended at 2027-02-20T12:00:00Z", ""},
	} {
		facts, again := certificateFacts(secret, noon.AddDate(0, 0, c.days))
		shows(t, facts, again, c.want, c.says)
		if len(facts) > 0 && (facts[0].severity != c.severity || facts[0].object != "secret/tls") {
			t.Errorf("after %d days: %+v", c.days, facts[0])
		}
	}
	other := &corev1.Secret{Data: map[string][]byte{"password": []byte("x")}}
	trimSecret(other)
	facts, again := certificateFacts(other, noon)
	shows(t, facts, again, "", "")
}

// managed are the fields of an object as an API server notes them.
const managed = `- {manager: kubectl-client-side-apply, operation: Update, time: "2026-11-22T10:00:00Z", fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:labels": {"f:app": {}}},
  "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:image": {}}}}}}}}
- {manager: argocd, operation: Apply, time: "2026-11-22T11:00:00Z", fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:image": {}}}}}}}}
- {manager: kubectl-rollout, operation: Update, time: "2026-11-22T11:30:00Z", fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}}}
- {manager: hpa, operation: Update, subresource: scale, time: "2026-11-22T11:40:00Z", fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:replicas": {}}}}
- {manager: kube-controller-manager, operation: Update, subresource: status, time: "2026-11-22T11:50:00Z", fieldsType: FieldsV1, fieldsV1: {"f:status": {"f:replicas": {}}}}
- {manager: odd, operation: Update, time: "2026-11-22T11:59:00Z"}
`

func TestSetters(t *testing.T) {
	meta := metav1.ObjectMeta{ManagedFields: *readObject[[]metav1.ManagedFieldsEntry](t, managed)}
	trimMeta(&meta, nil, fieldTemplate, fieldReplicas)
	for _, c := range []struct {
		path []string
		want string
	}{{fieldTemplate, "argocd 11:00:00"}, {fieldReplicas, "hpa 11:40:00 scale"}, {fieldData, ""}} {
		got := ""
		if by := latest(settersOf(meta, c.path...)); by != nil {
			got = strings.TrimSpace(by.Manager + " " + by.Time.UTC().Format(time.TimeOnly) + " " + by.Subresource)
		}
		if got != c.want {
			t.Errorf("%v was set last by %q, want %q", c.path, got, c.want)
		}
	}
	for _, entry := range meta.ManagedFields {
		if strings.Contains(entry.FieldsV1.GetRawString(), "f:") {
			t.Errorf("kept %s", entry.FieldsV1.GetRawString())
		}
	}
}

// TestPodsAreSmall: of a pod as clusters have them little is kept, for there are thousands.
func TestPodsAreSmall(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop", Annotations: map[string]string{"note": strings.Repeat("x", 5000)},
		ManagedFields: *readObject[[]metav1.ManagedFieldsEntry](t, managed)}}
	for i := range 3 {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprint(i), Env: make([]corev1.EnvVar, 50), Args: make([]string, 50)})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: fmt.Sprint(i),
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: strings.Repeat("x", 4096)}}})
	}
	trimPod(pod)
	if raw := jenner.Raw(pod); len(raw) > 3000 {
		t.Errorf("%d bytes are kept: %s", len(raw), raw)
	}
	if got := shortened(strings.Repeat("ä", 500)); len(got) > longestMessage+len("…") || !strings.HasSuffix(got, "ä…") {
		t.Errorf("a long message is cut to %q", got)
	}
}
