package loop_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/loop"
)

// The storm: 20 services fail, and all others need one of them. In the benchmark they are 2,000, and each raises 50 alerts
// at once; the tests have fewer services and as many alerts.
const (
	stormCauses   = 20
	stormServices = 2000
	stormAlerts   = 50
	stormMemory   = 400 << 20 // bytes of heap at most
)

// storm is a hundred thousand alerts of that many services, in which one that is well again calms all that need it.
func storm(tb testing.TB, many int) (*flood, []jenner.Alert) {
	var services []jenner.Service
	for i := range many {
		if i < stormCauses {
			services = append(services, floodService(i))
			continue
		}
		services = append(services, floodService(i, fmt.Sprintf("s%04d", i%stormCauses)))
	}
	docs := floodDocs(services)
	docs.Limits = jenner.Limits{} // as they are where nobody says otherwise
	f := newFlood(tb, docs, 16)
	f.calm = func(service string) {
		f.calming.Lock() // what is well again raises no alert that was still on its way
		defer f.calming.Unlock()
		f.calmed[service] = true
		f.clear(service)
		for _, one := range services {
			if len(one.DependsOn) > 0 && one.DependsOn[0] == service {
				f.clear(one.Name)
			}
		}
	}
	f.done.Go(f.detect)
	var alerts []jenner.Alert
	for i := range stormServices * stormAlerts {
		alerts = append(alerts, jenner.Alert{Name: "down", Kind: jenner.AlertRule, Service: services[i%many].Name,
			Fingerprint: fmt.Sprintf("alert-%d", i), Status: jenner.Firing})
	}
	chance := rand.New(rand.NewPCG(1, 2))
	chance.Shuffle(len(alerts), func(i, j int) { alerts[i], alerts[j] = alerts[j], alerts[i] })
	return f, alerts
}

// detect sees every few seconds that what fires still does, as a detector would; otherwise the alerts would grow stale.
func (f *flood) detect() {
	ticker := time.NewTicker(3 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-ticker.C:
		}
		f.calming.Lock()
		for _, alert := range f.board.AllFiring() {
			alert.SeenAt = time.Time{}
			f.board.Put(alert)
		}
		f.calming.Unlock()
	}
}

func (f *flood) rain(alerts []jenner.Alert) {
	now := time.Now()
	f.mu.Lock()
	for _, alert := range alerts {
		f.fired[alert.Service] = now
	}
	f.mu.Unlock()
	for _, alert := range alerts {
		f.calming.Lock()
		needs := f.world.Docs().Services
		service, _ := strconv.Atoi(strings.TrimPrefix(alert.Service, "s"))
		if cause := needs[service%stormCauses].Name; !f.calmed[cause] {
			f.board.Put(alert)
		}
		f.calming.Unlock()
	}
}

func heapInUse() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse
}

// quiet tells whether nothing fires and no incident is open.
func (f *flood) quiet() bool { return len(f.board.AllFiring()) == 0 && f.intake.OpenCount() == 0 }

// TestL20AStorm: memory is bounded, what is dropped is counted with the reason, there is one run for each cause, nobody is
// paged for what was healed, and everything ends.
func TestL20AStorm(t *testing.T) {
	f, alerts := storm(t, stormServices/5)
	f.rain(alerts)
	highest := heapInUse()
	await.True(t, "all is quiet again", func() bool { highest = max(highest, heapInUse()); return f.quiet() })
	if highest > stormMemory {
		t.Errorf("%d MB of heap", highest>>20)
	}
	if drops := f.board.Drops(); drops.Full == 0 {
		t.Errorf("dropped %+v; a hundred thousand alerts do not fit", drops)
	}
	entries, err := f.store.Ledger(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string]int{}
	for _, entry := range entries {
		if entry.Kind == jenner.LedgerAction {
			runs[entry.Service]++
		}
	}
	for i := range stormCauses {
		if name := fmt.Sprintf("s%04d", i); runs[name] != 1 {
			t.Errorf("%d runs for the cause %s", runs[name], name)
		}
	}
	if len(runs) != stormCauses {
		t.Errorf("runs on %d services, and %d are the causes: %v", len(runs), stormCauses, runs)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pages) > 0 {
		t.Errorf("people were told:\n%s", strings.Join(f.told, "\n"))
	}
	if f.ended[jenner.PhaseEscalated] > 0 {
		t.Errorf("incidents ended %v", f.ended)
	}
}

// TestL20TheKillSwitchInAStorm: after it is on nothing is begun any more, however many incidents want to.
func TestL20TheKillSwitchInAStorm(t *testing.T) {
	f, alerts := storm(t, stormServices/5)
	defer func() {
		if t.Failed() {
			f.mu.Lock()
			defer f.mu.Unlock()
			t.Logf("%d are open, %d alerts fire; ended %v; people were told:\n%s", f.intake.OpenCount(), len(f.board.AllFiring()), f.ended,
				strings.Join(f.told, "\n"))
		}
	}()
	f.begun = make(chan string, stormServices)
	f.rain(alerts)
	<-f.begun
	if _, err := f.holds.Stop("test", ""); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	await.True(t, "the incidents wait", func() bool { return f.intake.OpenCount() > 0 || f.quiet() })
	// What was broken off in its middle stays open until the switch is off again: what counts is that nothing begins meanwhile.
	await.True(t, "the switch has been on for two seconds", func() bool { return time.Since(stopped) > 2*time.Second })
	f.mu.Lock()
	last := f.last
	f.mu.Unlock()
	// What was asked before the switch was on may be written a moment later; what is asked later never is.
	entries, err := f.store.Ledger(t.Context(), stopped)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.At.Sub(stopped) > time.Second {
			t.Errorf("%s was begun %s after the kill switch, the last intent %s after it", entry.ID, entry.At.Sub(stopped), last.Sub(stopped))
		}
	}
	if _, _, err := f.holds.Resume(); err != nil {
		t.Fatal(err)
	}
	await.True(t, "what was begun has ended", func() bool {
		entries, err := f.store.OpenIntents(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(entries) == 0
	})
	// What the switch broke off between the intent and the effect may or may not have happened, and goes to a person.
	await.True(t, "all is quiet again, or a person's", func() bool { return f.intake.OpenCount() == 0 && len(f.nobodys()) == 0 })
}

// nobodys are the services in trouble of which no person has been told, nor of what they need.
func (f *flood) nobodys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var services []string
	for _, alert := range f.board.AllFiring() {
		service, _ := f.docs.Service(alert.Service)
		if !f.owned[service.Name] && !slices.ContainsFunc(service.DependsOn, func(need string) bool { return f.owned[need] }) {
			services = append(services, service.Name)
		}
	}
	return services
}

// TestAnIncidentThatHasEndedIsNotOpenedByALateWord: the word that it began may come after the word that it ended. It
// would keep its service from ever being looked at again.
func TestAnIncidentThatHasEndedIsNotOpenedByALateWord(t *testing.T) {
	f := newFlood(t, floodDocs([]jenner.Service{floodService(0)}), 1)
	begun := jenner.Record{Line: loop.IncidentLine, ID: "i-1", Subject: "s0000", State: jenner.Raw(jenner.Incident{ID: "i-1"})}
	ended := begun
	ended.Ended, ended.Phase, ended.Updated = true, jenner.PhaseResolved, time.Now()
	f.intake.Committed(jenner.Change{Record: ended})
	f.intake.Committed(jenner.Change{Record: begun})
	if id, open := f.intake.Open("s0000"); open {
		t.Errorf("%s is open for ever", id)
	}
}

// BenchmarkStorm measures the storm: how long until the first action begins, how long after the kill switch the last one
// begins, and how much memory it takes at most.
func BenchmarkStorm(b *testing.B) {
	var first, kill time.Duration
	highest := uint64(0)
	for range b.N {
		b.StopTimer()
		f, alerts := storm(b, stormServices)
		f.begun = make(chan string, stormServices)
		b.StartTimer()
		began := time.Now()
		go f.rain(alerts)
		<-f.begun
		first = max(first, time.Since(began))
		stopped := time.Now()
		if _, err := f.holds.Stop("benchmark", ""); err != nil {
			b.Fatal(err)
		}
		for over := time.After(500 * time.Millisecond); over != nil; { // in which something could begin
			highest = max(highest, heapInUse())
			select {
			case <-over:
				over = nil
			default:
			}
		}
		f.mu.Lock()
		kill = max(kill, f.last.Sub(stopped))
		f.mu.Unlock()
		if _, _, err := f.holds.Resume(); err != nil {
			b.Fatal(err)
		}
		await.True(b, "all is quiet again", func() bool { highest = max(highest, heapInUse()); return f.quiet() })
		b.StopTimer()
		f.stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(first.Milliseconds()), "first-action-ms")
	b.ReportMetric(max(0, float64(kill)/float64(time.Millisecond)), "kill-switch-ms")
	b.ReportMetric(float64(highest>>20), "heap-MB")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/storm")
	b.ReportMetric(0, "ns/op")
}
