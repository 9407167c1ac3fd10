package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// readyWithin is how long each role asks those it needs. The caller of a role waits longer than the role itself, so
// that the first answers within 250 ms and still says which process at the end of the chain is missing.
var readyWithin = map[string]time.Duration{
	"gateway":  210 * time.Millisecond,
	"checkout": 160 * time.Millisecond,
	"payments": 110 * time.Millisecond,
}

// readiness is the answer of /readyz. Failing maps each dependency that is not ready to the reason.
type readiness struct {
	Role    string            `json:"role"`
	Ready   bool              `json:"ready"`
	Failing map[string]string `json:"failing,omitempty"`
}

// healthz says that the process runs, and nothing about anybody else.
func (p *process) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"role": p.role.name, "status": "running"})
}

// readyz says whether the role could serve: 200, or 503 and who is missing.
func (p *process) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin[p.role.name])
	defer cancel()
	answer := readiness{Role: p.role.name, Ready: true, Failing: map[string]string{}}
	reasons := make([]error, len(p.needs))
	var asked sync.WaitGroup
	for i, need := range p.needs {
		asked.Go(func() { reasons[i] = need.ready(ctx) })
	}
	asked.Wait()
	for i, need := range p.needs {
		if reasons[i] != nil {
			answer.Ready = false
			answer.Failing[need.name] = reasons[i].Error()
		}
	}
	if !answer.Ready {
		writeJSON(w, http.StatusServiceUnavailable, answer)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// ready asks the peer's /readyz and returns why it is not ready, in the peer's own words where it has any.
func (p *peer) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/readyz", nil)
	if err != nil {
		return err
	}
	code, body, err := p.fetch(request)
	if err != nil {
		return err
	}
	if code == http.StatusOK {
		return nil
	}
	var told readiness
	if json.Unmarshal(body, &told) != nil || len(told.Failing) == 0 {
		return fmt.Errorf("answered %d", code)
	}
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(told.Failing)) {
		reasons = append(reasons, name+": "+told.Failing[name])
	}
	return fmt.Errorf("not ready: %s", strings.Join(reasons, "; "))
}
