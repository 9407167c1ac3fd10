package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Action("wait_for_probe", "Wait until a probe passes, or fails", func() act.Action {
		return &WaitForProbe{Timeout: jenner.Duration(time.Minute), Status: jenner.ProbePassing}
	})
}

// WaitForProbe waits until a probe has a status, by an answer that came after the wait began: what was known before may
// be about the process that was just replaced.
type WaitForProbe struct {
	// Probe is NAME, of the service that the incident is about, or SERVICE/NAME.
	Probe string `json:"probe"`
	// Timeout is 1m where not said.
	Timeout jenner.Duration `json:"timeout,omitempty"`
	// Status is passing, slow or failing; passing where not said. A slow probe is not a passing one.
	Status jenner.ProbeStatus `json:"status,omitempty"`
}

// probeEvery is how often the state is looked at, which is in memory.
const probeEvery = 20 * time.Millisecond

var waitable = []jenner.ProbeStatus{jenner.ProbePassing, jenner.ProbeSlow, jenner.ProbeFailing}

// Validate checks the parameters.
func (w *WaitForProbe) Validate() error {
	if w.Probe == "" {
		return errors.New("probe is missing; write NAME or SERVICE/NAME")
	}
	if !slices.Contains(waitable, w.Status) {
		return fmt.Errorf("unknown status %q; known: passing, slow, failing", w.Status)
	}
	return nil
}

// ReadOnly marks that nothing is changed.
func (*WaitForProbe) ReadOnly() {}

// Check refuses a probe that does not exist.
func (w *WaitForProbe) Check(_ context.Context, call act.Call) error {
	if call.Host.Telemetry == nil {
		return jenner.Permanent(errNoTelemetry, "")
	}
	service, name := w.names(call)
	if _, known := call.Host.Telemetry.Probe(service, name); known {
		return nil
	}
	var names []string
	for _, probe := range call.Host.Telemetry.Probes(service) {
		names = append(names, probe.Name)
	}
	return jenner.Permanent(fmt.Errorf("service %q has no probe %q%s", service, name, strict.Hint(name, names)), "")
}

// Do waits.
func (w *WaitForProbe) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if err := w.Check(ctx, call); err != nil {
		return act.Result{}, err
	}
	service, name := w.names(call)
	began := time.Now()
	var last jenner.ProbeState
	saw, err := wait(ctx, probeEvery, w.Timeout.Or(time.Minute), 0, func(context.Context) (bool, string, error) {
		last, _ = call.Host.Telemetry.Probe(service, name)
		return w.reached(last, began), told(last), nil
	})
	if err != nil {
		return act.Result{Output: last}, jenner.Permanent(
			fmt.Errorf("probe %s/%s is not %s: %w; last seen: %s", service, name, w.Status, err, saw), "")
	}
	return act.Result{Summary: fmt.Sprintf("probe %s/%s is %s", service, name, saw), Output: last}, nil
}

// reached tells whether the state is the wanted one and new. The status is one of several answers; the last of them
// must agree with it.
func (w *WaitForProbe) reached(state jenner.ProbeState, began time.Time) bool {
	return state.Status == w.Status && state.At.After(began) && state.LastOK == (w.Status != jenner.ProbeFailing)
}

func told(state jenner.ProbeState) string {
	if state.Message == "" || state.LastOK { // the message is of the last answer that failed
		return string(state.Status)
	}
	return fmt.Sprintf("%s (%s)", state.Status, state.Message)
}

func (w *WaitForProbe) names(call act.Call) (service, name string) {
	if service, name, both := strings.Cut(w.Probe, "/"); both {
		return service, name
	}
	if call.Subject.Name != "" {
		return call.Subject.Name, w.Probe
	}
	return call.Service.Name, w.Probe
}
