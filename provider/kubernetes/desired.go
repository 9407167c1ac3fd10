package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/jenner-heal/jenner"
)

// manifestKinds are what the kinds of targets are called in manifests.
var manifestKinds = map[string]string{kindDeployment: "Deployment", kindStatefulSet: "StatefulSet", kindDaemonSet: "DaemonSet", kindPod: "Pod",
	kindNode: "Node", kindJob: "Job", kindHPA: "HorizontalPodAutoscaler", kindPVC: "PersistentVolumeClaim", kindConfigMap: "ConfigMap"}

// desired is the object of the target as its manifest has it.
func (t *Target) desired() (map[string]any, error) {
	raw, err := readManifest(t.Desired, t.Revision)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("what %s is to be cannot be read: %w", t.ref, err), "")
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		var object map[string]any
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return nil, jenner.Permanent(fmt.Errorf("%s holds no %s %s", t.Desired, manifestKinds[t.ref.Kind], t.Object), "")
		} else if err != nil {
			return nil, jenner.Permanent(fmt.Errorf("%s cannot be read: %w", t.Desired, err), "")
		}
		meta, _ := object["metadata"].(map[string]any)
		in, _ := meta["namespace"].(string)
		if object["kind"] == manifestKinds[t.ref.Kind] && meta["name"] == t.Object && (in == "" || in == t.Namespace) {
			return object, nil
		}
	}
}

// readManifest reads a file, or what is committed of it in the Git repository that it lies in.
func readManifest(file, revision string) ([]byte, error) {
	if revision == "" {
		return os.ReadFile(file)
	}
	show := exec.Command("git", "-C", filepath.Dir(file), "show", "--end-of-options", revision+":./"+filepath.Base(file))
	show.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	raw, err := show.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("git cannot show %s of %s: %s", file, revision, strings.TrimSpace(string(failed.Stderr)))
	}
	return raw, err
}

// deviation is a field that is not as its manifest has it.
type deviation struct {
	at       string // spec.template.spec.containers[app].image
	want, is any    // nil: it is not there
}

// String is `spec.replicas is 5, not 3`. Long values are cut.
func (d deviation) String() string {
	if d.is == nil {
		return fmt.Sprintf("%s is missing, not %s", d.at, excerpt(d.want))
	}
	return fmt.Sprintf("%s is %s, not %s", d.at, excerpt(d.is), excerpt(d.want))
}

// longestValue is how much of a value is shown.
const longestValue = 60

func excerpt(value any) string {
	text := fmt.Sprint(value)
	if s, is := value.(string); is {
		text = fmt.Sprintf("%q", s)
	}
	if runes := []rune(text); len(runes) > longestValue {
		return string(runes[:longestValue]) + "…"
	}
	return text
}

// deviations are the fields of an object that differ from its manifest. Only what stands there counts: what the API server,
// controllers and others added does not.
func deviations(want, is map[string]any) []deviation {
	want = maps.Clone(want)
	delete(want, "status")
	if meta, written := want["metadata"].(map[string]any); written {
		counts := map[string]any{}
		for _, part := range []string{"labels", "annotations"} {
			if meta[part] != nil {
				counts[part] = meta[part]
			}
		}
		want["metadata"] = counts
	}
	return deviating(nil, "", want, is)
}

func deviating(found []deviation, at string, want, is any) []deviation {
	switch wanted := want.(type) {
	case nil:
		return found // null in a manifest leaves it to the API server
	case map[string]any:
		has, mapping := is.(map[string]any)
		if !mapping && len(wanted) > 0 {
			return append(found, deviation{at, want, is})
		}
		for _, key := range slices.Sorted(maps.Keys(wanted)) {
			found = deviating(found, strings.TrimPrefix(at+"."+key, "."), wanted[key], has[key])
		}
		return found
	case []any:
		return deviatingList(found, at, wanted, is)
	}
	if !equals(at, want, is) {
		found = append(found, deviation{at, want, is})
	}
	return found
}

// listKeys are the fields by which Kubernetes tells the elements of its lists apart, whatever their order.
var listKeys = []string{"name", "mountPath", "devicePath", "containerPort", "port", "ip", "topologyKey", "key", "type"}

func deviatingList(found []deviation, at string, want []any, is any) []deviation {
	has, list := is.([]any)
	if !list {
		if len(want) > 0 || is != nil {
			found = append(found, deviation{at, want, is})
		}
		return found
	}
	key := keyOf(want, has)
	if key == "" && len(want) != len(has) {
		return append(found, deviation{at, want, is})
	}
	for i, one := range want {
		place, other := fmt.Sprintf("%s[%d]", at, i), any(nil)
		if key == "" {
			other = has[i]
		} else {
			name := one.(map[string]any)[key]
			place = fmt.Sprintf("%s[%v]", at, name)
			for _, candidate := range has {
				if fields := candidate.(map[string]any); equals("", name, fields[key]) {
					other = candidate
				}
			}
		}
		found = deviating(found, place, one, other)
	}
	return found
}

// keyOf is the field by which the elements of both lists can be told apart; none where there is none.
func keyOf(lists ...[]any) string {
	for _, key := range listKeys {
		tells := true
		for _, list := range lists {
			seen := map[string]bool{}
			for _, element := range list {
				fields, mapping := element.(map[string]any)
				name := fmt.Sprint(fields[key])
				tells = tells && mapping && fields[key] != nil && !seen[name]
				seen[name] = true
			}
		}
		if tells {
			return key
		}
	}
	return ""
}

// equals compares numbers as numbers, and where a field is a quantity, 0.5 with 500m.
func equals(at string, want, is any) bool {
	if is == nil {
		return false
	}
	if fmt.Sprint(want) == fmt.Sprint(is) {
		return true
	}
	if !slices.ContainsFunc([]string{"limits.", "requests.", "hard.", "capacity.", "averageValue", "sizeLimit", "divisor"},
		func(part string) bool { return strings.Contains(at, part) }) {
		return false
	}
	one, err := resource.ParseQuantity(fmt.Sprint(want))
	other, also := resource.ParseQuantity(fmt.Sprint(is))
	return err == nil && also == nil && one.Cmp(other) == 0
}
