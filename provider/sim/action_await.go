package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("await", "Wait until the service answers", func() act.Action { return &Await{Every: jenner.Duration(500 * time.Millisecond)} })
}

// Await looks at the service itself until it answers, and changes nothing. It waits as the world's effects do, so that
// whoever holds the world's clock holds this wait too.
type Await struct {
	// Every is how long it waits between two looks.
	Every jenner.Duration `json:"every,omitempty"`
	// Timeout is after how long a service that does not answer is a failure.
	Timeout jenner.Duration `json:"timeout"`
}

// Validate asks for times.
func (a *Await) Validate() error {
	if a.Every <= 0 || a.Timeout <= 0 {
		return fmt.Errorf("every is %s and timeout is %s; write durations such as 500ms and 10s", a.Every, a.Timeout)
	}
	return nil
}

// ReadOnly says that it only looks.
func (*Await) ReadOnly() {}

// Do waits.
func (a *Await) Do(ctx context.Context, call act.Call) (act.Result, error) {
	world, err := find(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	for waited := time.Duration(0); ; waited += a.Every.Std() {
		if _, err = world.Ask(call.Target.Name); err == nil {
			return act.Result{Summary: fmt.Sprintf("it answers after %s", jenner.Duration(waited))}, nil
		}
		if waited >= a.Timeout.Std() {
			return act.Result{}, jenner.Permanent(fmt.Errorf("%s does not answer within %s: %w", call.Target.Ref(), a.Timeout, err), "")
		}
		if err := world.pass(ctx, a.Every.Std(), false); err != nil {
			return act.Result{}, err
		}
	}
}
