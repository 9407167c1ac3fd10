//go:build kube

package cluster

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/provider/core"
)

// reading is a Jenner as far as documents go: it reads them whenever they change and tells what became of them.
type reading struct {
	*Watched
	*Show
	docs chan *jenner.Documents
}

func (y *yard) read() *reading {
	y.t.Helper()
	ctx, cancel := context.WithCancel(y.t.Context())
	y.t.Cleanup(cancel)
	watched, err := y.Watch(ctx, WatchOptions{Logger: quietLog()})
	if err != nil {
		y.t.Fatal(err)
	}
	r := &reading{Watched: watched, docs: make(chan *jenner.Documents, 100)}
	r.Show = y.Show(ShowOptions{Watched: watched, Logger: quietLog(), Docs: func() *jenner.Documents { return &jenner.Documents{} }}, NewTally())
	go r.Show.Run(ctx, nil)
	names := catalog.Names{Catalog: catalog.Merge(core.Provider)}
	load := func() {
		loaded, standings, err := config.LoadObjects(names, watched.Objects())
		if err != nil {
			y.t.Error(err)
			return
		}
		r.Tell(standings)
		r.docs <- loaded.Documents
	}
	load()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-watched.Changed():
				load()
			}
		}
	}()
	return r
}

const (
	pages    = "{steps: [{name: tell, action: page_oncall}]}"
	onAlert  = "{incident_type: crashed, runbooks: [tell], mode: auto}"
	evidence = "{cause: crashed, evidence: [{promql: up == 0, weight: 1}]}"
)

// TestDocumentsFromCustomResources: what is applied is in force and says so; what is wrong says why, and what was right before
// stays in force, also for the next Jenner, who never saw it right.
func TestDocumentsFromCustomResources(t *testing.T) {
	y := newYard(t)
	y.mustApply("service shop", "{tier: 1}")
	y.mustApply("signature crashed", evidence)
	y.mustApply("runbook tell", pages)
	first := y.read()
	if docs := <-first.docs; len(docs.Services) != 1 || len(docs.Runbooks) != 1 || docs.Services[0].Tier != 1 {
		t.Errorf("what was there before it began is read as %+v", docs)
	}
	y.mustApply("policy crash", onAlert)
	y.until("the policy is in force", func() bool { return y.standing("policy crash") == "InForce: in force as it is written" })
	y.mustApply("runbook tell", "{steps: [{name: tell, action: page_onkall}]}")
	wrong := `OlderInForce: generation 1 stays in force: spec.steps[0].action: step tell: unknown action "page_onkall"`
	y.until("the wrong runbook says so", func() bool { return strings.HasPrefix(y.standing("runbook tell"), wrong) })
	if got := y.standing("policy crash"); got != "InForce: in force as it is written" {
		t.Errorf("a wrong runbook takes the policy with it: %s", got)
	}
	second := y.read()
	docs := <-second.docs
	if book, ok := docs.Runbook("tell"); !ok || book.Steps[0].Action != "page_oncall" || len(docs.Policies) != 1 {
		t.Errorf("the next Jenner goes by %+v", docs)
	}
	y.mustApply("runbook tell", pages)
	y.until("the mended runbook is in force", func() bool { return strings.HasPrefix(y.standing("runbook tell"), "InForce") })
	problems := statusOf(y.get("runbook tell")).Problems
	if len(problems) > 0 {
		t.Errorf("the mended runbook still has the problems %q", problems)
	}
	y.mustApply("service bad", "{depends_on: [nobody]}")
	y.until("a new document that is wrong says so", func() bool {
		return strings.HasPrefix(y.standing("service bad"), `LeftOut: left out: spec.depends_on[0]: unknown service "nobody"`)
	})
	before := len(first.docs)
	y.until("it settles", func() bool { now := len(first.docs); same := now == before; before = now; return same })
	if err := y.Dynamic.Resource(documents[0].resource()).Namespace(y.Namespace).Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	y.until("the deleted service is gone", func() bool {
		select {
		case docs := <-first.docs:
			return len(docs.Services) == 0
		default:
			return false
		}
	})
}

// TestTheServerRefusesAtOnce what the schema can tell, and keeps what only Jenner can, so that Jenner can tell it.
func TestTheServerRefusesAtOnce(t *testing.T) {
	y := newYard(t)
	for spec, want := range map[string]string{
		"{incident_type: x, mode: bold}":                                    "Unsupported value",
		"{mode: auto}":                                                      "incident_type: Required value",
		"{incident_type: x, cooldown_after_action: '5'}":                    "cooldown_after_action",
		"{incident_type: x, confidence_threshold: very}":                    "confidence_threshold",
		"{incident_type: x, confidence_threshold: 1.5}":                     "confidence_threshold",
		"{incident_type: x, blast_radius: {max_pods: many}}":                "max_pods",
		"{incident_type: x, services: {tier: [one]}}":                       "tier",
		"{incident_type: x, max_attempts: 1.5}":                             "max_attempts",
		"{incident_type: x, approval: {expires: 5}}":                        "expires",
		"{incident_type: x, runbooks: restart}":                             "runbooks",
		"{incident_type: x, modes: {production: bold}}":                     "modes",
		"{incident_type: x, error_budget: {slo: x, ask_below: everything}}": "ask_below",
	} {
		if err := y.apply("policy wrong", spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is answered with %v, want %s", spec, err, want)
		}
	}
	for _, spec := range []string{"{incident_type: x, confidence_threshold: 0.92, cooldown_after_action: 0, blast_radius: {max_pods: 2}}",
		"{incident_type: x, confidence_threshold: high, cooldown_after_action: 1h30m, blast_radius: {max_pods: '15%, 2'}}"} {
		if err := y.apply("policy right", spec); err != nil {
			t.Errorf("%s is refused: %v", spec, err)
		}
	}
	y.mustApply("policy unknown", "{incident_type: x, max_atempts: 3}")
	y.read()
	y.until("an unknown key is told", func() bool {
		return strings.Contains(y.standing("policy unknown"), `spec.max_atempts: unknown key "max_atempts" in policy; did you mean "max_attempts"?`)
	})
}

// TestWatchSaysWhatIsMissing instead of waiting for ever.
func TestWatchSaysWhatIsMissing(t *testing.T) {
	y := newYard(t)
	nobody, err := Connect(Place{Namespace: y.Namespace, As: "system:serviceaccount:" + y.Namespace + ":nobody"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = nobody.Watch(t.Context(), WatchOptions{Logger: quietLog()})
	if err == nil || jenner.NextAfter(err) != jenner.NeverMind || !strings.Contains(err.Error(), "jenner rbac") {
		t.Errorf("without rights the error is %v", err)
	}
}
