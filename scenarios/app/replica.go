package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

func init() { programs["replica"] = replica }

// replica ADDRESS PIDFILE: signs tokens with the time of its own wall clock, and tells it on /metrics.
func replica(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("write ADDRESS PIDFILE")
	}
	if err := os.WriteFile(args[1], []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, time.Now().UnixMilli()) })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE wall_clock_seconds gauge\nwall_clock_seconds %.3f\n", float64(time.Now().UnixMilli())/1000)
	})
	return serve(ctx, args[0], mux)
}
