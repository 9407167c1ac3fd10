package loop

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// twoServers answers the same question otherwise for each service, as two servers do.
type twoServers struct{ jenner.Telemetry }

func (twoServers) Query(ctx context.Context, _ string) (jenner.Answer, error) {
	values := map[string]float64{"": 1, "shop": 2, "stock": 3}
	question, _ := jenner.Asked(ctx)
	return jenner.Answer{Samples: []jenner.Sample{{Value: values[question.Service]}}}, nil
}

// TestASceneKnowsAboutWhomItWasAsked: the same PromQL about another service is another question.
func TestASceneKnowsAboutWhomItWasAsked(t *testing.T) {
	seen := newWatcher(twoServers{}, time.Now())
	ask := func(telemetry jenner.Telemetry, service string) string {
		ctx := t.Context()
		if service != "" {
			ctx = jenner.Asking(ctx, jenner.Question{Service: service})
		}
		answer, err := telemetry.Query(ctx, "queue_length")
		return fmt.Sprint(answer.Samples, err)
	}
	then := map[string]string{}
	for _, service := range []string{"", "shop", "stock"} {
		then[service] = ask(seen, service)
	}
	var kept jenner.Scene
	if err := json.Unmarshal(jenner.Raw(seen.scene), &kept); err != nil {
		t.Fatal(err)
	}
	for service, said := range then {
		if now := ask(past{kept}, service); now != said {
			t.Errorf("about %q it was %s, and the scene says %s", service, said, now)
		}
	}
	if want := "0 alerts, 0 probes and 3 numbers were looked at"; describeScene(kept) != want {
		t.Errorf("it says %q, want %q", describeScene(kept), want)
	}
	older := jenner.Scene{Answers: map[string]jenner.Answer{"queue_length": {Samples: []jenner.Sample{{Value: 2}}}}}
	if now := ask(past{older}, "shop"); now != then["shop"] {
		t.Errorf("a scene of an older version says %s, want %s", now, then["shop"])
	}
}
