package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// allOfIt is a folder with documents that use all that provider/kubernetes offers.
const allOfIt = "testdata/rights"

func everythingOf(t *testing.T) *jenner.Documents {
	t.Helper()
	loaded, _, err := config.LoadObjects(catalog.Names{Catalog: providers}, nil, allOfIt)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Documents
}

// TestTheRightsAreOfEverything: a new action, fault or probe of Kubernetes is to be written into the documents, so that its
// rights are tried, too.
func TestTheRightsAreOfEverything(t *testing.T) {
	docs := everythingOf(t)
	const provider = "kubernetes."
	written := map[string]bool{}
	for _, step := range docs.Runbooks[0].Steps {
		written["action "+strings.TrimPrefix(step.Action, provider)] = true
	}
	for _, fault := range docs.Experiments[0].Faults {
		written["fault "+strings.TrimPrefix(fault.Fault, provider)] = true
	}
	for _, probe := range docs.Services[0].Probes {
		written["probe "+probe.Kind] = true
	}
	written["probe alive"] = true // of each workload, without being written
	for _, target := range docs.Services[0].Targets {
		written["target "+target.Kind] = true
	}
	wanted := map[string][]string{}
	add := func(what string, name string) {
		if short, ours := strings.CutPrefix(name, provider); ours {
			wanted[what] = append(wanted[what], short)
		}
	}
	for _, entry := range providers.Actions() {
		add("action", entry.Name)
	}
	for _, entry := range providers.Faults() {
		add("fault", entry.Name)
	}
	for _, entry := range providers.Probes() {
		add("probe", entry.Name)
	}
	for what, names := range wanted {
		for _, name := range names {
			if !written[what+" "+name] {
				t.Errorf("%s holds no %s %s", allOfIt, what, name)
			}
		}
	}
	if len(wanted["action"]) < 20 || len(wanted["fault"]) < 15 || len(wanted["probe"]) < 6 {
		t.Errorf("there are %d actions, %d faults and %d probes", len(wanted["action"]), len(wanted["fault"]), len(wanted["probe"]))
	}
}

// TestRightsAreNeededForSomething: each right names the documents that need it, and with a runbook that may only look, and
// without experiments, there is none to change anything.
func TestRightsAreNeededForSomething(t *testing.T) {
	docs := everythingOf(t)
	needs, err := (&kubeFlags{}).needs(docs, false)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for _, need := range needs {
		said[need.Right.String()] = need.For
		if len(need.For) == 0 {
			t.Errorf("nobody says what it takes the right for to %s", need.Right)
		}
	}
	for right, want := range map[string]string{
		"delete networkpolicies.networking.k8s.io in shop":              "experiment everything, fault kubernetes.partition on deployment/web of shop",
		"patch configmaps/settings in shop":                             "experiment everything, fault kubernetes.config_drift on configmap/settings of shop",
		"patch horizontalpodautoscalers.autoscaling/web-scaler in shop": "runbook everything, step set-bounds, on hpa/web-scaler of shop",
		"watch endpointslices.discovery.k8s.io in shop":                 "probe endpoints of shop",
		"watch horizontalpodautoscalers.autoscaling in shop":            "observing target hpa/web-scaler of shop",
	} {
		if !slices.Contains(said[right], want) {
			t.Errorf("the right to %s is needed for %q, want %q among them", right, said[right], want)
		}
	}
	docs.Policies[0].Mode, docs.Experiments = jenner.ModeRecommend, nil
	if needs, err = (&kubeFlags{}).needs(docs, false); err != nil {
		t.Fatal(err)
	}
	for _, need := range needs {
		looks := slices.Contains([]string{"get", "list", "watch"}, need.Verb)
		if !looks && need.Resource != "events" && need.Resource != "pods/exec" { // a probe runs its command in a pod
			t.Errorf("who may only look needs no right to %s", need.Right)
		}
	}
}
