package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/store/sqlite"
)

var (
	soakFor   = flag.Duration("soak", 0, "how long the shop is broken and healed; 20s where not said")
	soakEvery = flag.Duration("soak-every", 0, "time between two faults; 20s, or 5s where -soak is not said")
	soakSeed  = flag.Uint64("soak-seed", 0, "which faults come; any where 0")
)

// soakFault is one way to break the shop from outside, and the one target that may be touched because of it.
type soakFault struct {
	name            string
	service, target string
	// put breaks it. The function that it gives takes the fault away, where it does not end by being healed.
	put func(ctx context.Context, s *soak) (undo func() error, err error)
}

func signalled(signal syscall.Signal, name, service string) soakFault {
	return soakFault{name + " " + service, service, service, func(_ context.Context, s *soak) (func() error, error) {
		raw, err := os.ReadFile(filepath.Join(s.dir, "run", service+".pid"))
		if err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
		if err != nil {
			return nil, err
		}
		return nil, syscall.Kill(pid, signal)
	}}
}

// slowPartner holds the partner's answers up, as the drill of that name does. It lasts until the flag is switched; that
// the flag is switched back afterwards is part of being healed.
func slowPartner(ctx context.Context, s *soak) (func() error, error) {
	service, target, err := s.a.Docs().Target("partner/partner-api", jenner.Service{})
	if err != nil {
		return nil, err
	}
	record, err := s.a.Injector.Inject(ctx, jenner.FaultRecord{ID: fmt.Sprintf("soak-%d", len(s.put)), Drill: "soak", Fault: "latency",
		Params: jenner.Params{"delay": jenner.Raw("600ms")}, Service: service, Target: target}, 2*patience)
	return func() error { return s.a.Injector.Undo(context.WithoutCancel(ctx), record) }, err
}

func soakFaults() []soakFault {
	faults := []soakFault{{"slow partner", "checkout", "flags", slowPartner}, signalled(syscall.SIGKILL, "SIGKILL", "load")}
	for _, service := range []string{"gateway", "checkout", "payments", "inventory", "ledger"} {
		faults = append(faults, signalled(syscall.SIGKILL, "SIGKILL", service), signalled(syscall.SIGSTOP, "SIGSTOP", service))
	}
	return faults
}

// patience is how long a fault may take to be healed before the soak gives up.
const patience = 2 * time.Minute

// soak is the shop under a jenner in this process, and what was done to it.
type soak struct {
	t      *testing.T
	a      *app.App
	dir    string
	chance *rand.Rand
	out    io.Writer
	put    []soaked
	healed int
}

// soaked is a fault that was put.
type soaked struct {
	soakFault
	at time.Time
}

// manyTimes lets one cause be treated on one target again and again, which is what a soak does.
const manyTimes = `max_attempts: 1000
attempts_reset_after: 1s
recurrence: {times: 1000}
circuit_breaker: {failures: 1000}
`

// TestSoak breaks the shop at random again and again while customers place orders. All is healed, nothing is touched that
// was not broken, and nothing piles up. `-soak 1h` lets it run for long and tells how it goes on.
func TestSoak(t *testing.T) {
	length, every, seed := *soakFor, *soakEvery, *soakSeed
	if length == 0 {
		length = 20 * time.Second
		if every == 0 {
			every = 5 * time.Second
		}
	}
	if every == 0 {
		every = 20 * time.Second
	}
	if seed == 0 {
		seed = rand.Uint64()
	}
	s := newSoak(t, seed)
	s.say("a fault every %s for %s; -soak-seed %d", every, length, seed)
	if !s.calm() {
		t.Fatalf("the shop did not come to rest: %s", s.unrest())
	}
	before := measured()
	s.run(length, every)
	s.report(before)
}

// newSoak starts the shop and a jenner with policies that do not tire. Its probes are patient, so that a healthy process
// which gets no processor for a moment, for the machine does something else, is not taken for a hung one. The reaper ends
// the shop, whatever happens here.
func newSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	s := &soak{t: t, chance: rand.New(rand.NewPCG(seed, 0)), out: io.Discard}
	if *soakFor > 0 {
		s.out = os.Stderr
	}
	var err error
	if s.dir, err = makeWorld(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	rewrite(t, filepath.Join(s.dir, "healing.yaml"), "max_attempts: 3\n", manyTimes)
	rewrite(t, filepath.Join(s.dir, "services.yaml"), "timeout: 250ms", "timeout: 1s")
	log, err := os.Create(filepath.Join(t.TempDir(), "jenner.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	data := filepath.Join(s.dir, "data")
	s.a, err = app.New(app.Options{Config: []string{s.dir}, Data: data, Catalog: providers, Baseline: demoBaseline,
		Logger:   slog.New(slog.NewTextHandler(log, nil)),
		Fallback: []notify.Notifier{&core.NotifierFile{Path: filepath.Join(data, "pages.jsonl")}},
		Reaper:   reaperFor(data, "--end-world", s.dir, "--keep=false"), Holder: holderFor(data)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.a.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := firstOf(s.a.Guard(), startWorld(t.Context(), s.a, func(string) {}), s.a.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	return s
}

// rewrite replaces a text of one of the shop's files wherever it stands.
func rewrite(t *testing.T, path, old, text string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		t.Fatalf("%s has no %q that could be replaced", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), old, text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// say tells how it goes on.
func (s *soak) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(s.out, "%s soak: %s\n", time.Now().Format(time.TimeOnly), text)
	s.t.Helper()
	s.t.Log(text)
}

// wait tells whether a condition came about in time.
func (s *soak) wait(holds func() bool) bool {
	deadline, ticker := time.After(patience), time.NewTicker(50*time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// unrest says what is not as it should be; nothing where all is well.
func (s *soak) unrest() string {
	known, total := s.a.SteadyKnown()
	switch open, firing, probe := s.a.OpenIncidents(), s.a.World.Board.AllFiring(), s.a.AllProbesPassing(); {
	case probe != "":
		return probe
	case len(firing) > 0:
		return fmt.Sprintf("%d alerts fire, such as %s on %s", len(firing), firing[0].Name, firing[0].Service)
	case open > 0:
		return fmt.Sprintf("%d incidents are open", open)
	case known < total:
		return fmt.Sprintf("of %d SLIs only %d are known", total, known)
	}
	return ""
}

func (s *soak) calm() bool { return s.wait(func() bool { return s.unrest() == "" }) }

// run puts faults until the time is over, or until one is not healed.
func (s *soak) run(length, every time.Duration) {
	over, ticker := time.After(length), time.NewTicker(every)
	defer ticker.Stop()
	faults := soakFaults()
	for {
		fault := faults[s.chance.IntN(len(faults))]
		if !s.one(fault) {
			return
		}
		select {
		case <-over:
			return
		case <-ticker.C:
		}
	}
}

// one puts one fault and tells whether it was healed.
func (s *soak) one(fault soakFault) bool {
	at := time.Now()
	s.put = append(s.put, soaked{fault, at})
	undo, err := fault.put(s.t.Context(), s)
	if err != nil {
		s.t.Errorf("%s: %v", fault.name, err)
		return false
	}
	acted := s.wait(func() bool { return s.acted(fault, at) })
	if undo != nil {
		if err := undo(); err != nil {
			s.t.Errorf("%s cannot be taken away: %v", fault.name, err)
		}
	}
	if !acted || !s.calm() {
		s.say("%d: %s was not healed: acted %t; %s", len(s.put), fault.name, acted, s.unrest())
		return false
	}
	s.healed++
	s.say("%d: %s, healed within %s", len(s.put), fault.name, time.Since(at).Round(10*time.Millisecond))
	return true
}

// acted tells whether something was done about a fault and helped.
func (s *soak) acted(fault soakFault, since time.Time) bool {
	for _, incident := range s.incidents(since) {
		run := incident.Run()
		if incident.Service == fault.service && run != nil && run.State == jenner.RunCompleted && !incident.HealthySince.IsZero() {
			return true
		}
	}
	return false
}

func (s *soak) incidents(since time.Time) []jenner.Incident {
	records, err := s.a.Store.List(s.t.Context(), loop.IncidentLine, sqlite.ListFilter{Since: since})
	if err != nil {
		s.t.Fatal(err)
	}
	var incidents []jenner.Incident
	for _, record := range records {
		var incident jenner.Incident
		if err := json.Unmarshal(record.State, &incident); err != nil {
			s.t.Fatal(err)
		}
		incidents = append(incidents, incident)
	}
	return incidents
}

// falseActions are the changes of anything but the target that was broken last.
func (s *soak) falseActions() (found []string) {
	for _, incident := range s.incidents(time.Time{}) {
		for _, run := range incident.Runs {
			for _, step := range run.Steps {
				if step.Changed && !s.wanted(step) {
					found = append(found, fmt.Sprintf("%s: %s on %s (%s)", incident.ID, step.Action, step.Target, step.Summary))
				}
			}
		}
	}
	return found
}

func (s *soak) wanted(step jenner.StepRecord) bool {
	for i := len(s.put) - 1; i >= 0; i-- {
		if s.put[i].at.Before(step.StartedAt) {
			return s.put[i].service == step.Service && s.put[i].target == step.Target.Name
		}
	}
	return false
}

// measure is what must not pile up.
type measure struct {
	goroutines, kilobytes int
}

func measured() measure {
	m := measure{goroutines: runtime.NumGoroutine()}
	status, _ := os.ReadFile("/proc/self/status") // only reported, and 0 where there is no such file
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			m.kilobytes, _ = strconv.Atoi(fields[1])
		}
	}
	return m
}

// moreGoroutines is how many more there may be at the end than at the start: those of connections that are being opened
// or closed at the moment. One that each fault left behind would be more before long.
const moreGoroutines = 25

// report says what came of it, and holds it against what must be.
func (s *soak) report(before measure) {
	calm := s.calm()
	if !s.wait(func() bool { return runtime.NumGoroutine() <= before.goroutines+moreGoroutines }) {
		s.t.Errorf("there were %d goroutines and are %d now", before.goroutines, runtime.NumGoroutine())
	}
	after, incidents, wrong := measured(), s.incidents(time.Time{}), s.falseActions()
	escalated := 0
	for _, incident := range incidents {
		if incident.Paged {
			escalated++
		}
	}
	s.say("%d faults put, %d healed by jenner alone (%.1f %%); %d incidents, %d of them told to a human; %d false actions",
		len(s.put), s.healed, 100*float64(s.healed)/float64(len(s.put)), len(incidents), escalated, len(wrong))
	s.say("goroutines %d at the start, %d at the end; memory %d MB at the start, %d MB at the end",
		before.goroutines, after.goroutines, before.kilobytes>>10, after.kilobytes>>10)
	if !calm {
		s.t.Errorf("the shop is not well at the end: %s", s.unrest())
	}
	if len(wrong) > 0 {
		s.t.Errorf("something was done to what was not broken:\n%s", strings.Join(wrong, "\n"))
	}
	if _, err := s.a.Store.VerifyAudit(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	if open, err := s.a.Store.OpenIntents(s.t.Context()); err != nil || len(open) > 0 {
		s.t.Errorf("intents without a result: %v, %v", open, err)
	}
}
