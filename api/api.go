// Package api is Jenner's own HTTP interface: its metrics and whether it is well.
//
// It is for looking from outside. It is not for observed services, and nothing can be changed through it.
package api

import (
	"fmt"
	"net/http"
)

// Handler serves /metrics and /healthz.
func Handler(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}
