// Command app is the workload that tests run in a lab: a small HTTP server that works, or fails in the ways that real
// ones do, as it is told by its environment, its configuration file, or a request.
//
// It is for tests. It is not a pattern for servers: anybody who reaches it may break it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// The exit codes, by which a test knows why a container ended.
const (
	exitUsage  = 2 // settings that mean nothing
	exitCrash  = 3 // it was told to crash
	exitConfig = 4 // the configuration file is invalid
	exitNeeds  = 5 // what it needs is not there, and it was told to end then
	exitLocked = 6 // the one before did not end in order and left its lock
	exitFailed = 7 // a job that was told to fail
)

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds | log.LUTC)
	command, args := "serve", os.Args[1:]
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	run, known := map[string]func(context.Context, []string) int{"serve": serve, "job": job, "load": load, "burn": burn}[command]
	if !known {
		log.Printf("there is no command %q; there are serve, job, load, burn", command)
		os.Exit(exitUsage)
	}
	os.Exit(run(ctx, args))
}

// app is the server's state.
type app struct {
	settings settings
	config   atomic.Pointer[config]
	metrics  *metrics
	work     *work
	hung     chan struct{} // closed where requests are to get no answer any more
	hanging  atomic.Bool
	failRate atomic.Pointer[float64] // set by a request; nil where the settings hold
	ending   atomic.Bool
	missing  atomic.Pointer[string] // what it needs and does not reach
	since    time.Time
	filled   []byte // what it keeps of memory
}

func serve(ctx context.Context, args []string) int {
	settings, err := readSettings(args, os.Getenv)
	if err != nil {
		log.Print(err)
		return exitUsage
	}
	log.Printf("version %s starts", settings.Version)
	a := &app{settings: settings, metrics: newMetrics(settings.Version), hung: make(chan struct{}), since: time.Now()}
	if settings.Lock != "" {
		if _, err := os.Stat(settings.Lock); err == nil {
			log.Printf("%s is still there: the one before did not end in order; remove it", settings.Lock)
			return exitLocked
		}
		if err := os.WriteFile(settings.Lock, nil, 0o644); err != nil {
			log.Print(err)
			return exitUsage
		}
	}
	ends := make(chan int, 1) // with the exit code
	if code, ok := a.start(ctx, ends); !ok {
		return code
	}
	server := &http.Server{Addr: settings.Listen, Handler: a.handler(ends), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
			ends <- exitUsage
		}
	}()
	select {
	case code := <-ends:
		return code
	case <-ctx.Done():
	}
	return a.drain(server)
}

// start begins what happens by itself. It tells the exit code where it is not to go on.
func (a *app) start(ctx context.Context, ends chan<- int) (int, bool) {
	if err := a.readConfig(); err != nil && a.settings.CrashIfConfig {
		log.Printf("the configuration is invalid: %v", err)
		return exitConfig, false
	}
	if after := a.settings.CrashAfter; after != nil {
		if *after <= 0 {
			log.Print("told to crash at the start")
			return exitCrash, false
		}
		time.AfterFunc(*after, func() { log.Print("told to crash by now"); ends <- exitCrash })
	}
	if after := a.settings.HangAfter; after != nil {
		time.AfterFunc(*after, a.hang)
	}
	if a.settings.FillMB > 0 {
		a.filled = taken(float64(a.settings.FillMB))
	}
	if a.settings.LeakMBPerS > 0 {
		go leak(a.settings.LeakMBPerS)
	}
	for _, need := range a.settings.Needs {
		if err := a.reach(ctx, need); err != nil && a.settings.NeedsCrash {
			log.Printf("%s is needed: %v", need, err)
			return exitNeeds, false
		}
	}
	go a.watch(ctx, ends)
	a.work = newWork(a.settings.WorkDir, a.settings.WorkTime)
	if err := a.work.begin(a.settings.Work); err != nil {
		log.Print(err)
		return exitUsage, false
	}
	return 0, true
}

// drain ends in order: no new requests by Services, what is under way is finished, the lock is given back.
func (a *app) drain(server *http.Server) int {
	log.Print("told to end; draining")
	a.ending.Store(true)
	time.Sleep(a.settings.DrainWait)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // kubelet's patience is shorter, as a rule
	defer cancel()
	done := a.work.finish()
	if err := server.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	if a.settings.Lock != "" {
		if err := os.Remove(a.settings.Lock); err != nil {
			log.Print(err)
		}
	}
	log.Printf("drained; %d items of work were finished", done)
	return 0
}

// hang leaves every request without an answer, those of probes too.
func (a *app) hang() {
	if !a.hanging.Swap(true) {
		log.Print("hanging from now on")
		close(a.hung)
	}
}

// why tells what keeps the app from being ready; empty where it is.
func (a *app) why() string {
	switch missing := a.missing.Load(); {
	case a.settings.NeverReady:
		return "told never to be ready"
	case a.ending.Load():
		return "ending"
	case time.Since(a.since) < a.settings.ReadyAfter:
		return "still starting"
	case missing != nil:
		return fmt.Sprintf("cannot reach %s", *missing)
	}
	return ""
}
