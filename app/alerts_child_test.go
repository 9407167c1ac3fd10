package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
)

// childEnv makes the test program a Jenner that can be killed: the file with its documents, its data and its address.
const childEnv = "JENNER_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		if err := serve(strings.Split(child, "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {} // until it is killed
	}
	os.Exit(m.Run())
}

func serve(words []string) error {
	a, err := app.New(app.Options{Config: words[:1], Data: words[1], Listen: words[2], Catalog: all, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	return a.Start(context.Background())
}

// child is a Jenner in a process of its own.
func (s *shop) child(listen string) *lab.Process {
	s.t.Helper()
	process, err := lab.Start(lab.Options{Env: []string{childEnv + "=" + s.dir + "/jenner.yaml|" + s.data + "|" + listen}}, os.Args[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = process.Stop(syscall.SIGKILL, 0)
		if s.t.Failed() {
			s.t.Log(process.Said())
		}
	})
	return process
}

// TestASilenceDoesNotOutliveJenner: one that is killed while it holds a silence leaves it for as long as it lasts, and no
// longer. The next one takes it up again, and ends it.
func TestASilenceDoesNotOutliveJenner(t *testing.T) {
	s := newShop(t)
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	am := s.alertmanager(fmt.Sprintf("http://%s/api/alerts/alertmanager", listen))
	goOn := s.slowly(fmt.Sprintf(`{kind: receiver, name: am, from: alertmanager, token: {file: token},
  alertmanager: {url: %q, every: 1s, silence_while_acting: true, silence_for: 4s}}`, am.URL()))
	child := s.child(listen)
	s.prometheus(fmt.Sprintf("{static_configs: [{targets: [\"127.0.0.1:%d\"]}]}", am.Port))
	s.set(3)
	await.True(t, "a silence", func() bool { return len(silences(t, am)) == 1 })
	if err := child.Stop(syscall.SIGKILL, 0); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	left := silences(t, am)
	for _, silence := range left {
		if silence.EndsAt.Sub(killed) > 4*time.Second+500*time.Millisecond {
			t.Errorf("it outlives Jenner by %s", silence.EndsAt.Sub(killed))
		}
	}
	await.True(t, "the silence to be over", func() bool { return len(silences(t, am)) == 0 })
	s.child(listen)
	await.True(t, "the next one's silence", func() bool { return len(silences(t, am)) == 1 })
	goOn()
	await.True(t, "all to be mended", func() bool { return s.errors() == 0 })
	await.True(t, "the silence to be ended", func() bool { return len(silences(t, am)) == 0 })
}

// TestAnIncidentThatAPersonHasIsShownAndNotSilenced: nothing is done about what no policy knows.
func TestAnIncidentThatAPersonHasIsShownAndNotSilenced(t *testing.T) {
	s := newShop(t)
	am := s.alertmanager("")
	s.write("jenner.yaml", strings.Replace(mended, "mode: auto", "mode: auto\nautomation: never\nescalation_channel: shown", 1)+fmt.Sprintf(`---
kind: receiver
name: prom
from: prometheus
token: {file: token}
alertmanager: {url: %[1]q, every: 1s, silence_while_acting: true}
---
kind: channel
name: shown
alertmanager: {urls: [%[1]q]}
`, am.URL()))
	a := s.start()
	s.prometheus(fmt.Sprintf("{static_configs: [{targets: [\"127.0.0.1:%d\"]}]}", am.Port),
		fmt.Sprintf("{authorization: {credentials: %s}, static_configs: [{targets: [%q]}]}", token, a.Address))
	s.set(3)
	await.True(t, "the page", func() bool {
		all := firing(t, am, "JennerPage")
		return len(all) == 1 && all[0].Labels["severity"] == "page" && strings.Contains(all[0].Annotations["description"], "ShopBroken")
	})
	await.True(t, "the escalated incident to be shown", func() bool {
		all := firing(t, am, "JennerIncident")
		return len(all) == 1 && all[0].Labels["jenner_phase"] == string(jenner.PhaseEscalated)
	})
	if all := silences(t, am); len(all) != 0 {
		t.Errorf("it is silenced: %+v", all)
	}
	s.set(0) // a person mends it
	await.True(t, "nothing to be shown any more", func() bool {
		return len(firing(t, am, "JennerPage"))+len(firing(t, am, "JennerIncident")) == 0
	})
}

// TestL20AStormFromOutsideIsBounded: ten thousand alerts at once, and what comes after them is healed as ever.
func TestL20AStormFromOutsideIsBounded(t *testing.T) {
	s := newShop(t, "{kind: receiver, name: prom, from: prometheus, token: {file: token}, max_per_second: 1000}",
		"{kind: service, name: bank}")
	a := s.start()
	url := "http://" + a.Address.String() + "/api/v2/alerts"
	const batches, each = 200, 64
	storm := func(service string) {
		for batch := range batches {
			var alerts []string
			for i := range each {
				alerts = append(alerts, fmt.Sprintf(`{"labels":{"alertname":"Storm","service":%q,"n":"%d"},"startsAt":%q}`, service, batch*each+i,
					time.Now().Format(time.RFC3339)))
			}
			if status, said := post(t, url, "["+strings.Join(alerts, ",")+"]"); status != 200 && status != 429 {
				t.Fatalf("in the storm it answers %d: %s", status, said)
			}
		}
	}
	storm("nobody")
	storm("bank")
	sum := uint64(0)
	for _, count := range told(t, a, "prom") {
		sum += count
	}
	if sum != 2*batches*each {
		t.Errorf("%d alerts were sent and %d counted: %v", 2*batches*each, sum, told(t, a, "prom"))
	}
	if firing := len(a.World.Board.AllFiring()); firing > 1000 {
		t.Errorf("%d alerts fire on the board; of one service it holds 1000", firing)
	}
	s.prometheus(fmt.Sprintf("{authorization: {credentials: %s}, static_configs: [{targets: [%q]}]}", token, a.Address))
	s.set(3)
	await.True(t, "the shop to be healed", func() bool {
		for _, one := range incidents(t, a) {
			if one.incident.Service == "shop" && one.phase == jenner.PhaseResolved {
				return true
			}
		}
		return false
	})
}
