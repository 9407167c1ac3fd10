// Package api is Jenner's own HTTP interface: its metrics, whether it is well, and the addresses at which other systems
// tell it of their alerts.
//
// It is for looking from outside, and for alerts. It is not for observed services, and nothing else can be changed through
// it. It speaks plain HTTP: who sends alerts over a network puts a proxy with TLS before it.
package api

import (
	"fmt"
	"net/http"
)

// Handler serves /metrics, /healthz, and what receive takes.
func Handler(metrics http.Handler, receive *Receive) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	receive.register(mux)
	return mux
}
