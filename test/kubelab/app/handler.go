package main

import (
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"
)

// handler serves
//
//	GET  /         200 `version`, or as the settings say
//	POST /orders   the same, and counts an order
//	GET  /readyz   503 while it is not ready
//	GET  /livez    200 while it answers at all
//	GET  /config   the value in the configuration
//	GET  /status   version, host and work as JSON
//	GET  /metrics
//	POST /crash, /hang, /leak?mb_per_s=50, /fail?rate=0.5 (without rate: as the settings say)
func (a *app) handler(ends chan<- int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.counted(func(w http.ResponseWriter) { fmt.Fprintln(w, a.settings.Version) }))
	mux.HandleFunc("POST /orders", a.counted(func(w http.ResponseWriter) {
		if rand.Float64() >= a.settings.OrderLoss {
			a.metrics.orders.Add(1)
		}
		fmt.Fprintln(w, "ordered")
	}))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := a.why(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		if read := a.config.Load(); read != nil {
			fmt.Fprintln(w, read.Value)
		}
	})
	mux.HandleFunc("GET /status", a.status)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { a.metrics.write(w, a.why() == "", a.work) })
	mux.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) { log.Print("asked to crash"); ends <- exitCrash })
	mux.HandleFunc("POST /hang", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hanging"); a.hang() })
	mux.HandleFunc("POST /leak", func(w http.ResponseWriter, r *http.Request) {
		rate, err := strconv.ParseFloat(r.FormValue("mb_per_s"), 64)
		if err != nil || rate <= 0 {
			http.Error(w, "mb_per_s is to be a number above 0", http.StatusBadRequest)
			return
		}
		go leak(rate)
	})
	mux.HandleFunc("POST /fail", a.fail)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.hanging.Load() {
			select {} // not even the end of the request is noticed
		}
		mux.ServeHTTP(w, r)
	})
}

// counted answers as the settings, the configuration and the requests before it say, and counts.
func (a *app) counted(answer func(http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		delay, rate := a.settings.Delay, a.settings.FailRate
		if read := a.config.Load(); read != nil && read.Delay != nil {
			delay = *read.Delay
		}
		if read := a.config.Load(); read != nil && read.FailRate != nil {
			rate = *read.FailRate
		}
		if asked := a.failRate.Load(); asked != nil {
			rate = *asked
		}
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		case <-a.hung:
			select {}
		}
		code := http.StatusOK
		if missing := a.missing.Load(); missing != nil {
			code = http.StatusServiceUnavailable
			http.Error(w, "cannot reach "+*missing, code)
		} else if rand.Float64() < rate {
			code = http.StatusInternalServerError
			http.Error(w, "told to fail", code)
		} else {
			answer(w)
		}
		a.metrics.count(code, time.Since(began))
	}
}

func (a *app) fail(w http.ResponseWriter, r *http.Request) {
	text := r.FormValue("rate")
	if text == "" {
		a.failRate.Store(nil)
		return
	}
	rate := new(float64)
	if err := share(rate)(text); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.failRate.Store(rate)
}

func (a *app) status(w http.ResponseWriter, _ *http.Request) {
	host, _ := os.Hostname()
	taken, done, lost := a.work.counts()
	_ = json.NewEncoder(w).Encode(map[string]any{"version": a.settings.Version, "host": host, "ready": a.why() == "", "why": a.why(),
		"work": map[string]int{"taken": taken, "done": done, "lost": lost}})
}

// leak takes memory for ever, and touches it so that it is really taken.
func leak(mbPerS float64) {
	log.Printf("leaking %g MB a second", mbPerS)
	const parts = 10 // a second
	var kept [][]byte
	for range time.Tick(time.Second / parts) {
		kept = append(kept, taken(mbPerS/parts))
	}
	_ = kept
}

// taken is so much memory, of which each page has been written to.
func taken(mb float64) []byte {
	block := make([]byte, int(mb*(1<<20)))
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	return block
}
