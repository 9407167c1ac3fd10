package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/telemetry"
)

// needy are the parameters of what cannot tell its rights without.
var needy = map[string]string{
	"kubernetes.chaos_mesh": "{kind: NetworkChaos, spec: {action: delay}}",
}

// aboutOne is a target of a kind, with all that lets an observer have something to look at.
func aboutOne(kind string) jenner.Target {
	target := jenner.Target{Kind: kind, Name: "it", Params: jenner.Params{"namespace": jenner.Raw("shop")}}
	if manifestKinds[kind] != "" {
		target.Params["desired"] = jenner.Raw("it.yaml")
	}
	return target
}

// saidBy are the rights that a capability says it needs for a target. What does not say any is an error.
func saidBy(t *testing.T, name string, capability any, target jenner.Target) []jenner.Right {
	t.Helper()
	needs, says := capability.(jenner.NeedsRights)
	if !says {
		t.Errorf("%s does not say its rights: write a method Rights", name)
		return nil
	}
	if text := needy[name]; text != "" {
		decoded(t, text, capability)
	}
	rights, err := needs.Rights(jenner.Service{Name: "it", Targets: []jenner.Target{target}}, target)
	if err != nil {
		t.Errorf("%s on %s: %v", name, target.Kind, err)
	}
	for _, right := range rights {
		if right.Verb == "" || right.Verb == "*" || right.Resource == "" || strings.Contains(right.Resource, "*") || right.Group == "*" {
			t.Errorf("%s on %s: %+v is not one right", name, target.Kind, right)
		}
		if right.Clusterwide == (right.Namespace != "") {
			t.Errorf("%s on %s: %s does not say where", name, target.Kind, right)
		}
		_, observes := capability.(telemetry.Observer) // whose lists and watches are of that name only
		if right.Name != "" && (right.Verb == "list" && !observes || right.Verb == "create" && !strings.Contains(right.Resource, "/")) {
			t.Errorf("%s on %s: %s cannot be told to an API server with a name", name, target.Kind, right)
		}
	}
	return rights
}

func decoded(t *testing.T, text string, into any) {
	t.Helper()
	var params jenner.Params
	if err := yaml.Unmarshal([]byte(text), &params); err != nil {
		t.Fatal(err)
	}
	if err := strict.Decode(params, into); err != nil {
		t.Fatal(err)
	}
}

// TestEverythingSaysItsRights: each action, fault, probe and observer, for every kind that it works on. A new one that does
// not is found here, before `jenner rbac` forgets it.
func TestEverythingSaysItsRights(t *testing.T) {
	all := catalog.Merge(Provider)
	on := func(name string, kinds []string, make func() any) {
		if len(kinds) == 0 {
			kinds = Provider.Kinds
		}
		for _, kind := range kinds {
			if rights := saidBy(t, name, make(), aboutOne(kind)); len(rights) == 0 {
				t.Errorf("%s on %s needs nothing, it says", name, kind)
			}
		}
	}
	for _, entry := range all.Actions() {
		on(entry.Name, entry.Kinds, func() any { return entry.New() })
	}
	for _, entry := range all.Faults() {
		on(entry.Name, entry.Kinds, func() any { return entry.New() })
	}
	for _, entry := range all.Observers() {
		on(entry.Name, entry.Kinds, func() any { return entry.New() })
	}
	for _, entry := range all.Probes() {
		some := false
		for _, kind := range Provider.Kinds { // a probe asks what its own parameters say; a service without such a target needs nothing
			some = len(saidBy(t, entry.Name, entry.New(), aboutOne(kind))) > 0 || some
		}
		if !some {
			t.Errorf("probe %s needs nothing, it says", entry.Name)
		}
	}
	if len(all.Sources()) > 0 || len(all.Notifiers()) > 0 {
		t.Error("there are sources or notifiers by now, and nobody looks at their rights here")
	}
}

// TestRightsOfFaults: no more than is needed, by the parameters and by the target.
func TestRightsOfFaults(t *testing.T) {
	pods := func(selector string) jenner.Target {
		target := aboutOne(kindPod)
		if selector != "" {
			target.Params["selector"] = jenner.Raw(selector)
		}
		return target
	}
	for _, c := range []struct {
		fault, params string
		target        jenner.Target
		has, not      []string
	}{
		{"kill", "{}", aboutOne(kindDeployment), []string{"delete pods in shop", "get replicasets.apps in shop", "get deployments.apps/it in shop"},
			[]string{"create pods/eviction in shop", "get statefulsets.apps in shop", "patch deployments.apps/it in shop"}},
		{"kill", "{}", aboutOne(kindStatefulSet), []string{"get statefulsets.apps/it in shop"}, []string{"get replicasets.apps in shop"}},
		{"kill", "{}", pods(""), []string{"delete pods/it in shop", "get daemonsets.apps in shop"}, []string{"delete pods in shop", "get pods in shop"}},
		{"evict", "{}", pods(""), []string{"create pods/eviction/it in shop"}, []string{"create pods/eviction in shop"}},
		{"evict", "{}", pods("app=it"), []string{"create pods/eviction in shop"}, []string{"delete pods in shop"}},
		{"scale_to_zero", "{}", aboutOne(kindDeployment), []string{"patch deployments.apps/it in shop", "patch replicasets.apps in shop"}, nil},
		{"scale_to_zero", "{}", aboutOne(kindStatefulSet), []string{"patch statefulsets.apps/it in shop"}, []string{"patch replicasets.apps in shop"}},
		{"config_drift", "{key: color, value: blue}", aboutOne(kindConfigMap), []string{"patch configmaps/it in shop", "list configmaps in shop"}, []string{"list pods in shop"}},
		{"partition", "{}", aboutOne(kindDeployment), []string{"get pods/proxy in shop", "create networkpolicies.networking.k8s.io in shop"}, []string{"patch pods in shop"}},
		{"partition", "{through: pod, pods: one}", aboutOne(kindDeployment), []string{"patch pods in shop"}, []string{"get pods/proxy in shop"}},
		{"chaos_mesh", "{kind: DNSChaos, spec: {action: error}}", aboutOne(kindDeployment), []string{"delete dnschaos.chaos-mesh.org in shop"}, []string{"get replicasets.apps in shop"}},
		{"cpu", "{image: jenner}", aboutOne(kindDeployment), []string{"update pods/ephemeralcontainers in shop", "create pods/attach in shop", "get nodes in the whole cluster"},
			[]string{"update pods in shop"}},
		{"node_stop", "{stop: [lab], start: [lab]}", aboutOne(kindNode), []string{"get leases.coordination.k8s.io/it in kube-node-lease"}, []string{"patch nodes/it in the whole cluster"}},
		{"drain", "{}", aboutOne(kindNode), []string{"patch nodes/it in the whole cluster", "create pods/eviction in the whole cluster"}, nil},
	} {
		entry, err := catalog.Merge(Provider).Fault(c.fault, c.target.Kind)
		if err != nil {
			t.Fatal(err)
		}
		fault := entry.New()
		decoded(t, c.params, fault)
		rights, err := fault.(jenner.NeedsRights).Rights(jenner.Service{}, c.target)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, right := range rights {
			said = append(said, right.String())
		}
		for _, want := range c.has {
			if !slices.Contains(said, want) {
				t.Errorf("%s %s on %s: no %q among %q", c.fault, c.params, c.target.Kind, want, said)
			}
		}
		for _, less := range c.not {
			if slices.Contains(said, less) {
				t.Errorf("%s %s on %s: %q is more than is needed", c.fault, c.params, c.target.Kind, less)
			}
		}
	}
}
