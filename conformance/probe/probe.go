// Package probetest is the suite that every telemetry.Probe passes, those of the providers and fakes alike.
//
// It is for what all probes promise: to answer, to answer again, to heed their context, to leave nothing behind. It is
// not for what one probe asks, which is tested beside it. It is for tests only.
package probetest

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/telemetry"
)

// Setup makes a probe and the world that it asks, which ends with the test.
type Setup func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall)

// Suite is what the suite needs to know of one kind of probe. The tests run one after the other, for they count
// goroutines; the test that calls Run must not be parallel.
type Suite struct {
	OK      Setup // the service is well
	Failing Setup // the service is not well
	// Hanging gets no answer, for ever. nil where the question cannot hang, such as reading a file of the kernel.
	Hanging Setup
	// Wrong have parameters that Validate refuses. Empty where a probe has none.
	Wrong map[string]telemetry.Probe
}

// Run runs the suite.
func Run(t *testing.T, suite Suite) {
	t.Run("ok", suite.ok)
	t.Run("failing", suite.failing)
	t.Run("cancelled", suite.cancelled)
	t.Run("leaves nothing behind", suite.leavesNothing)
	if suite.Hanging != nil {
		t.Run("heeds its deadline", suite.heedsDeadline)
		t.Run("heeds being stopped", suite.heedsStop)
	}
	t.Run("watching heeds being stopped", suite.watchHeedsStop)
	t.Run("wrong parameters", suite.wrong)
}

func (s Suite) ok(t *testing.T) {
	probe, call := s.OK(t)
	validate(t, probe)
	for range 3 { // the same value is asked again and again
		if got := probe.Probe(within(t), call); got.Outcome != telemetry.OK || got.Message != "" {
			t.Fatalf("a service that is well: %+v, want OK without a message", got)
		}
	}
}

func (s Suite) failing(t *testing.T) {
	probe, call := s.Failing(t)
	validate(t, probe)
	for range 3 {
		if got := probe.Probe(within(t), call); got.Outcome != telemetry.Failed || got.Message == "" {
			t.Fatalf("a service that is not well: %+v, want Failed with a reason", got)
		}
	}
}

// cancelled: a question that was taken back before it was put may be answered in any way, but at once; what is not
// allowed is a failure, for nobody looked.
func (s Suite) cancelled(t *testing.T) {
	probe, call := s.OK(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := answer(t, ctx, probe, call); got.Outcome == telemetry.Failed {
		t.Fatalf("a question taken back: %+v, want OK or Unknown", got)
	}
}

func (s Suite) leavesNothing(t *testing.T) {
	for name, setup := range map[string]Setup{"ok": s.OK, "failing": s.Failing, "hanging": s.Hanging} {
		if setup == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			probe, call := setup(t)
			before := runtime.NumGoroutine()
			for range 5 {
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				answer(t, ctx, probe, call)
				cancel()
			}
			await.OK(t, "five questions leave no goroutine", func() error {
				if now := runtime.NumGoroutine(); now > before {
					stacks := make([]byte, 1<<20)
					return fmt.Errorf("%d before, %d now:\n%s", before, now, stacks[:runtime.Stack(stacks, true)])
				}
				return nil
			})
		})
	}
}

func (s Suite) heedsDeadline(t *testing.T) {
	probe, call := s.Hanging(t)
	validate(t, probe)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if got := answer(t, ctx, probe, call); got.Outcome != telemetry.Failed || got.Message == "" {
		t.Fatalf("no answer in time: %+v, want Failed with a reason", got)
	}
}

func (s Suite) heedsStop(t *testing.T) {
	probe, call := s.Hanging(t)
	ctx, cancel := context.WithCancel(context.Background())
	stop := time.AfterFunc(50*time.Millisecond, cancel)
	defer stop.Stop()
	if got := answer(t, ctx, probe, call); got.Outcome != telemetry.Unknown {
		t.Fatalf("a question taken back: %+v, want Unknown", got)
	}
}

func (s Suite) watchHeedsStop(t *testing.T) {
	probe, call := s.OK(t)
	watcher, ok := probe.(telemetry.Watcher)
	if !ok {
		return // it need not watch
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = watcher.Watch(ctx, call) // whether it can watch here is its own test's matter
	}()
	cancel()
	await.Closed(t, "Watch returns when its context has ended", done)
}

func (s Suite) wrong(t *testing.T) {
	for name, probe := range s.Wrong {
		validator, ok := probe.(telemetry.Validator)
		if !ok {
			t.Fatalf("%s: %T has no Validate", name, probe)
		}
		if err := validator.Validate(); err == nil {
			t.Errorf("%s: Validate allows %+v", name, probe)
		}
	}
}

func validate(t *testing.T, probe telemetry.Probe) {
	t.Helper()
	if validator, ok := probe.(telemetry.Validator); ok {
		if err := validator.Validate(); err != nil {
			t.Fatalf("Validate: %v", err)
		}
	}
}

// answer asks, and fails the test where no answer comes even though ctx has long ended.
func answer(t *testing.T, ctx context.Context, probe telemetry.Probe, call telemetry.ProbeCall) telemetry.Result {
	t.Helper()
	var result telemetry.Result
	done := make(chan struct{})
	go func() {
		defer close(done)
		result = probe.Probe(ctx, call)
	}()
	await.Closed(t, "the probe returns when its context has ended", done)
	return result
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	t.Cleanup(cancel)
	return ctx
}
