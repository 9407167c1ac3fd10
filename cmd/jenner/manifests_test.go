package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/deploy"
)

// TestWhatIsDeployedIsGenerated: the files under deploy say what the code and the chart say. `make manifests` writes them.
func TestWhatIsDeployedIsGenerated(t *testing.T) {
	const root = "../../deploy"
	crds, err := cluster.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	var expected []string
	for _, crd := range crds {
		raw, err := cluster.YAML(crd)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"crds", "chart/jenner/crds"} {
			file := filepath.Join(root, dir, crd.Spec.Names.Plural+".yaml")
			expected = append(expected, file)
			if found, err := os.ReadFile(file); err != nil || !bytes.Equal(found, raw) {
				t.Errorf("%s is not what the code says (%v); run `make manifests`", file, err)
			}
		}
	}
	found, _ := filepath.Glob(root + "/crds/*")
	more, _ := filepath.Glob(root + "/chart/jenner/crds/*")
	for _, file := range append(found, more...) {
		if !slices.Contains(expected, file) {
			t.Errorf("%s is left over from something that is not there any more", file)
		}
	}
	text, err := deploy.Manifests(deploy.Release{Name: "jenner", Namespace: "jenner"})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(root + "/manifests/jenner.yaml")
	if err != nil || string(plain) != text {
		t.Errorf("deploy/manifests/jenner.yaml is not the chart (%v); run `make manifests`", err)
	}
}

// rendered are the objects of the chart with some values, by KIND NAMESPACE/NAME.
func rendered(t *testing.T, values string, apis ...string) map[string]string {
	t.Helper()
	release := deploy.Release{Name: "jenner", Namespace: "jenner", APIVersions: apis}
	if err := yaml.Unmarshal([]byte(values), &release.Values); err != nil {
		t.Fatal(err)
	}
	text, err := deploy.Manifests(release)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]string{}
	for one := range strings.SplitSeq(text, "---\n") {
		var meta metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(one), &meta); err != nil {
			t.Fatalf("%v in\n%s", err, one)
		}
		objects[meta.Kind+" "+meta.Namespace+"/"+meta.Name] = one
	}
	return objects
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if text == "" {
		t.Fatal("it is not rendered")
	}
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

// TestTheChartGivesWhatJennerNeedsForItself, neither more nor less, whatever is watched.
func TestTheChartGivesWhatJennerNeedsForItself(t *testing.T) {
	for name, test := range map[string]struct {
		values string
		own    cluster.Own
	}{
		"by default":             {"", cluster.Own{Namespace: "jenner", Lease: "jenner"}},
		"other namespaces":       {"watch: [shop, bank]\nlease: {name: lead}", cluster.Own{Namespace: "jenner", Watched: []string{"shop", "bank"}, Lease: "lead"}},
		"its own among them":     {"watch: [shop, jenner]", cluster.Own{Namespace: "jenner", Watched: []string{"shop", "jenner"}, Lease: "jenner"}},
		"services found, no one": {"discover: [shop]\nlease: {name: ''}", cluster.Own{Namespace: "jenner", Discovered: []string{"shop"}}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := rendered(t, test.values)
			grants := cluster.Grants(test.own.Rights(), "jenner")
			for _, grant := range grants {
				var role rbac.Role
				decode(t, objects["Role "+grant.Namespace+"/jenner"], &role)
				var binding rbac.RoleBinding
				decode(t, objects["RoleBinding "+grant.Namespace+"/jenner"], &binding)
				if diff := cmp.Diff(asSet(grant.Rules), asSet(role.Rules)); diff != "" {
					t.Errorf("in %s the chart gives other rights than needed (-needed +given):\n%s", grant.Namespace, diff)
				}
				if subject := binding.Subjects[0]; subject.Name != "jenner" || subject.Namespace != "jenner" || binding.RoleRef.Name != "jenner" {
					t.Errorf("in %s the rights go to %+v", grant.Namespace, binding)
				}
			}
			roles := 0
			for id := range objects {
				if strings.HasPrefix(id, "Role ") || strings.HasPrefix(id, "ClusterRole ") {
					roles++
				}
			}
			if roles != len(grants) {
				t.Errorf("there are %d roles, want %d", roles, len(grants))
			}
		})
	}
}

// asSet are rules one right each, in order.
func asSet(rules []rbac.PolicyRule) []string {
	var all []string
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for _, resource := range rule.Resources {
				all = append(all, strings.Join(append([]string{verb, rule.APIGroups[0], resource}, rule.ResourceNames...), " "))
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestTheChartTakesWhatRBACPrints as its values.
func TestTheChartTakesWhatRBACPrints(t *testing.T) {
	grants := []cluster.Grant{{Rules: []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get"}}}},
		{Namespace: "shop", Rules: []rbac.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{"web"}, Verbs: []string{"patch"}}}}}
	var values bytes.Buffer
	if err := writeRoles(&values, grants, "values", "jenner", "jenner"); err != nil {
		t.Fatal(err)
	}
	objects := rendered(t, values.String())
	var wide rbac.ClusterRole
	decode(t, objects["ClusterRole /jenner-documents-jenner"], &wide)
	var role rbac.Role
	decode(t, objects["Role shop/jenner-documents"], &role)
	var binding rbac.RoleBinding
	decode(t, objects["RoleBinding shop/jenner-documents"], &binding)
	decode(t, objects["ClusterRoleBinding /jenner-documents-jenner"], &rbac.ClusterRoleBinding{})
	if !cmp.Equal(wide.Rules, grants[0].Rules) || !cmp.Equal(role.Rules, grants[1].Rules) || binding.Subjects[0].Namespace != "jenner" {
		t.Errorf("it renders %+v, %+v and %+v", wide, role, binding)
	}
	var plain bytes.Buffer
	if err := writeRoles(&plain, grants, "manifests", "jenner", "jenner"); err != nil {
		t.Fatal(err)
	}
	if err := writeRoles(&plain, grants, "yaml", "jenner", "jenner"); err == nil {
		t.Error("a format that nobody knows is written")
	}
	for id := range objects { // both ways end in objects of the same names
		kind, name, _ := strings.Cut(id, " ")
		if _, name, _ := strings.Cut(name, "/"); strings.Contains(name, "documents") && !strings.Contains(plain.String(), "kind: "+kind+"\n") {
			t.Errorf("%s is not among\n%s", id, plain.String())
		}
	}
}

// TestThePodMayDoLittle: the promises about how Jenner runs.
func TestThePodMayDoLittle(t *testing.T) {
	var deployment appsv1.Deployment
	decode(t, rendered(t, "watch: [shop]\nfiles: {a.yaml: 'kind: team'}\ndryRun: true")["Deployment jenner/jenner"], &deployment)
	pod := deployment.Spec.Template.Spec
	container := pod.Containers[0]
	of := container.SecurityContext
	switch {
	case deployment.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType:
		t.Error("two pods may be on one volume during a roll-out")
	case !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Errorf("the pod runs as %+v", pod.SecurityContext)
	case !*of.ReadOnlyRootFilesystem || *of.AllowPrivilegeEscalation || !slices.Equal(of.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(of.Capabilities.Add) > 0:
		t.Errorf("the container runs as %+v", of)
	case container.LivenessProbe.HTTPGet.Path != "/healthz" || container.ReadinessProbe.HTTPGet.Path != "/readyz" || container.StartupProbe == nil:
		t.Error("the probes ask something else")
	case container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero():
		t.Error("the container has no requests or no limits")
	case pod.HostNetwork || pod.HostPID || pod.HostIPC:
		t.Error("the pod shares what belongs to its node")
	}
	for _, want := range []string{"--kube", "--watch=shop", "--dry-run", "/etc/jenner"} {
		if !slices.Contains(container.Args, want) {
			t.Errorf("%s is not among %q", want, container.Args)
		}
	}
	if code := parse(t, container.Args); code != nil {
		t.Errorf("jenner does not understand %q: %v", container.Args, code)
	}
}

// parse lets the program read arguments, without doing what they say.
func parse(t *testing.T, args []string) error {
	t.Helper()
	cmd, rest, err := rootCommand().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.Args(cmd, cmd.Flags().Args())
	}
	return err
}

// TestTheChartRefusesWhatCannotGoWell when it is rendered, not when it runs.
func TestTheChartRefusesWhatCannotGoWell(t *testing.T) {
	for values, want := range map[string]string{
		"replicas: 2": "ReadWriteMany",
		"replicas: 2\npersistence: {enabled: false}\nlease: {name: ''}": "without a lease",
		"podMonitor: {enabled: true}":                                   "Prometheus operator",
	} {
		release := deploy.Release{Name: "jenner", Namespace: "jenner"}
		if err := yaml.Unmarshal([]byte(values), &release.Values); err != nil {
			t.Fatal(err)
		}
		if _, err := deploy.Manifests(release); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is answered with %v, want %q", values, err, want)
		}
	}
	if objects := rendered(t, "persistence: {enabled: false}"); objects["PersistentVolumeClaim jenner/jenner"] != "" {
		t.Error("there is a volume where none is wanted")
	}
}

// TestValues: a later file is over an earlier one, key by key, and single values are over both.
func TestValues(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for name, text := range map[string]string{"a.yaml": "image: {tag: a, repository: r}\nwatch: [x]", "b.yaml": "image: {tag: b}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(dir, name))
	}
	slices.Sort(files)
	got, err := valuesOf(files, []string{"replicas=3"})
	want := map[string]any{"image": map[string]any{"tag": "b", "repository": "r"}, "watch": []any{"x"}, "replicas": int64(3)}
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
	if _, err := valuesOf([]string{filepath.Join(dir, "none")}, nil); err == nil {
		t.Error("a file that is not there is read")
	}
}

// TestThePodMonitorIsTheOperators: it has the operator's fields and no others, selects the pods of the chart, and names their port.
func TestThePodMonitorIsTheOperators(t *testing.T) {
	objects := rendered(t, "podMonitor: {enabled: true, labels: {team: sre}}", "monitoring.coreos.com/v1")
	var monitor monitoringv1.PodMonitor
	if err := yaml.UnmarshalStrict([]byte(objects["PodMonitor jenner/jenner"]), &monitor); err != nil {
		t.Fatalf("%v in\n%s", err, objects["PodMonitor jenner/jenner"])
	}
	var deployment appsv1.Deployment
	if err := yaml.Unmarshal([]byte(objects["Deployment jenner/jenner"]), &deployment); err != nil {
		t.Fatal(err)
	}
	template := deployment.Spec.Template
	selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
	if err != nil || selector.Empty() || !selector.Matches(labels.Set(template.Labels)) || monitor.Labels["team"] != "sre" {
		t.Errorf("it selects %s (%v), the pods have %v, and its own labels are %v", selector, err, template.Labels, monitor.Labels)
	}
	if len(monitor.Spec.PodMetricsEndpoints) != 1 {
		t.Fatalf("it has %d endpoints", len(monitor.Spec.PodMetricsEndpoints))
	}
	endpoint, interval := monitor.Spec.PodMetricsEndpoints[0], regexp.MustCompile(`^([0-9]+(ms|s|m|h))+$`)
	if endpoint.Port == nil || endpoint.Path != "/metrics" || !interval.MatchString(string(endpoint.Interval)) ||
		!slices.ContainsFunc(template.Spec.Containers[0].Ports, func(port corev1.ContainerPort) bool { return port.Name == *endpoint.Port }) {
		t.Errorf("it asks %+v, and the pods have the ports %v", endpoint, template.Spec.Containers[0].Ports)
	}
}
