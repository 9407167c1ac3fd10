package strict_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// TestWriteIsReadAgain: what Write writes, Node reads as the same value.
func TestWriteIsReadAgain(t *testing.T) {
	no, half, three := false, jenner.Number(0.5), jenner.Number(3)
	share := jenner.Share(0.15)
	for name, value := range map[string]any{
		"service": jenner.Service{Name: "shop", Tier: 1, DependsOn: []string{"stock", "mail"}, External: true,
			Targets: []jenner.Target{{Kind: "deployment", Name: "web", ManagedBy: "argocd", Params: jenner.Params{"namespace": []byte(`"shop"`),
				"nested": []byte(`{"a":[1,true,"x"]}`)}}},
			Metrics: []jenner.MetricsSource{{Scrape: "http://127.0.0.1:1/metrics", Every: jenner.Duration(time.Second)},
				{Kind: "postgres", Params: jenner.Params{"target": []byte(`"db"`)}}},
			Probes: []jenner.Probe{{Name: "ready", Kind: "http", Params: jenner.Params{"url": []byte(`"http://127.0.0.1:1"`)}, Alert: &no},
				{Name: "bare", Kind: "tcp", Params: jenner.Params{}}},
			SLIs: []jenner.SLI{{Name: "errors", PromQL: "rate(errors[1m])", Below: &half, Above: &three}},
			SLOs: []jenner.SLO{{Name: "good", Objective: 0.75, Window: jenner.Duration(30 * 24 * time.Hour), Good: "a", Total: "b"}}},
		"runbook": jenner.Runbook{Name: "restart", Steps: []jenner.Step{{Name: "again", Action: "restart", Timeout: jenner.Duration(90 * time.Second),
			BlastRadius: jenner.BlastRadius{"max_pods": {Share: &share}}, Params: jenner.Params{"grace": []byte(`"1s"`)},
			Undo: &jenner.UndoStep{Action: "stop"}}}},
		"policy": jenner.Policy{Name: "crash", IncidentType: "crashed", Modes: map[string]jenner.Mode{"production": jenner.ModeApprove},
			ConfidenceThreshold: 0.92, Services: jenner.Selector{Tier: []int{1, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := strict.Write(value)
			if err != nil {
				t.Fatal(err)
			}
			node, err := strict.JSON(raw)
			if err != nil {
				t.Fatalf("%v in %s", err, raw)
			}
			switch want := value.(type) {
			case jenner.Service:
				sameAgain(t, raw, want, func(into *jenner.Service) []strict.Problem { _, problems := strict.Node(node, into); return problems })
			case jenner.Runbook:
				sameAgain(t, raw, want, func(into *jenner.Runbook) []strict.Problem { _, problems := strict.Node(node, into); return problems })
			case jenner.Policy:
				sameAgain(t, raw, want, func(into *jenner.Policy) []strict.Problem { _, problems := strict.Node(node, into); return problems })
			}
		})
	}
	if _, err := strict.Write(struct {
		Do func() `json:"do"`
	}{}); err == nil {
		t.Error("a function can be written")
	}
}

func sameAgain[T any](t *testing.T, raw []byte, want T, read func(into *T) []strict.Problem) {
	t.Helper()
	var got T
	if problems := read(&got); len(problems) > 0 {
		t.Fatalf("%v in %s", problems, raw)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is read as another value (-want +got):\n%s", raw, diff)
	}
}

// TestHas: by what people write.
func TestHas(t *testing.T) {
	if !strict.Has(&jenner.Service{}, "depends_on") || strict.Has(&jenner.Service{}, "DependsOn") || strict.Has(&jenner.Probe{}, "kind") || strict.Has(3, "x") {
		t.Error("Has does not go by what people write")
	}
}
