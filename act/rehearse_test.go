package act

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
)

// askable is a lever whose system can be asked what would become of it.
type askable struct {
	lever
	refuses error
	saw     *string
}

func (a *askable) DryRun(_ context.Context, call Call) (Result, error) {
	*a.saw = string(call.Checkpoint)
	return Result{Summary: "it would go up", Changed: true}, a.refuses
}

func TestADryRunAsksTheSystemItself(t *testing.T) {
	for name, test := range map[string]struct {
		refuses error
		state   jenner.IntentState
		says    string
	}{
		"it agrees":  {nil, jenner.IntentDone, `would do lever.move on lever/a with {"to":"up"}: it would go up`},
		"it refuses": {jenner.Permanent(errors.New("no quota"), ""), jenner.IntentFailed, "lever.move on lever/a would be refused: no quota"},
	} {
		t.Run(name, func(t *testing.T) {
			world := newLedger()
			world.put("a", "down")
			order := world.order("k", "up")
			var saw string
			order.Action = &askable{lever: lever{To: "up", world: world}, refuses: test.refuses, saw: &saw}
			e := world.executor()
			e.DryRun = true
			intent, err := e.Do(t.Context(), order)
			said := intent.Summary
			if err != nil {
				said = err.Error()
			}
			if intent.State != test.state || !strings.Contains(said, test.says) || (err == nil) != (test.refuses == nil) {
				t.Errorf("%s, %q, %v", intent.State, intent.Summary, err)
			}
			if saw != `"down"` {
				t.Errorf("it was asked with the checkpoint %s", saw)
			}
			if events := world.seen(); len(events) > 0 || world.position("a") != "down" {
				t.Errorf("something was done: %v, %s", events, world.position("a"))
			}
		})
	}
}
