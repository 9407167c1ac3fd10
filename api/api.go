// Package api is Jenner's own HTTP interface: its metrics, whether it lives, whether it is ready, and the addresses at which
// other systems tell it of their alerts.
//
// It is for looking from outside, and for alerts. It is not for observed services, and nothing else can be changed through
// it. It speaks plain HTTP: who sends alerts over a network puts a proxy with TLS before it.
package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Check is one thing that must be so for Jenner to be ready.
type Check struct {
	Name string // store, telemetry …
	OK   bool
	Saw  string // what was seen, for people
}

// Handler serves /metrics, /healthz, /readyz, and what receive takes; where it is nil, whoever sends alerts is told to come
// back. Alive is whoever answers at all; ready is whoever passes all checks, which are made anew for each question, and each
// is a line of the answer.
func Handler(metrics http.Handler, ready func(ctx context.Context) []Check, receive *Receive) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		var answer strings.Builder
		status := http.StatusOK
		for _, check := range ready(r.Context()) {
			mark := "+"
			if !check.OK {
				mark, status = "-", http.StatusServiceUnavailable
			}
			fmt.Fprintf(&answer, "[%s] %s: %s\n", mark, check.Name, check.Saw)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, answer.String())
	})
	if receive == nil {
		mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "this Jenner stands by and takes no alerts; send them to the one that leads, or again later", http.StatusServiceUnavailable)
		})
		return mux
	}
	receive.register(mux)
	return mux
}
