package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// patience is how many questions in a row may stay without an answer before a server is left alone for a while.
const patience = 2

// health is whether a server answers. The lock of its Remote guards it.
type health struct {
	known  bool
	up     bool
	since  time.Time // of up
	failed int       // in a row
	err    error     // of the last one that failed
	again  time.Time // while it is left alone: when the next question is put
}

// barred says why a question is not put, because the server is left alone. When the time has come, one question is let
// through.
func (h *health) barred(name string, now time.Time, every time.Duration) error {
	if h.failed < patience {
		return nil
	}
	if wait := h.again.Sub(now); wait > 0 {
		return jenner.Retryable(fmt.Errorf("server %s has not answered for %s (%w) and is asked again in %s", name,
			now.Sub(h.since).Round(time.Second), h.err, wait.Round(100*time.Millisecond)), "")
	}
	h.again = now.Add(every)
	return nil
}

// count counts how a question ended. A server that refuses a question does answer.
func (h *health) count(up bool, err error, now time.Time, every time.Duration) {
	if !h.known || h.up != up {
		h.known, h.up, h.since = true, up, now
	}
	if up {
		h.failed, h.err = 0, nil
		return
	}
	h.failed, h.err, h.again = h.failed+1, err, now.Add(every)
}

// ServerStatus is whether a server answers.
type ServerStatus struct {
	Server jenner.Prometheus
	Known  bool          // false: it was not asked yet
	Up     bool          // the last question was answered
	Since  time.Time     // since when Up is as it is
	Why    string        // why it is not up
	Skew   time.Duration // by which the server's clock is ahead of ours; it counts whole seconds
}

// Status is how the server stands.
func (r *Remote) Status() ServerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := ServerStatus{Server: r.server, Known: r.health.known, Up: r.health.up, Since: r.health.since}
	if r.wrong != nil {
		status.Known, status.Why = true, r.wrong.Error()
		return status
	}
	if r.health.err != nil {
		status.Why = r.health.err.Error()
	}
	status.Skew = time.Duration(r.client.skew.Load())
	return status
}

// Look asks the simplest question, so that Status is true also where nobody else asks.
func (r *Remote) Look(ctx context.Context) error {
	_, err := r.ask(ctx, "vector(1)")
	return err
}

// Close lets go of the connections.
func (r *Remote) Close() {
	if r.client != nil {
		r.client.http.CloseIdleConnections()
	}
}
