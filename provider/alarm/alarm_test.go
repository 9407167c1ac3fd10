package alarm

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func on(address string) jenner.Target {
	return jenner.Target{Kind: "alarm", Name: "page", Params: jenner.Params{"listen": jenner.Raw(address)}}
}

// read reads the page once; nothing where nobody serves it.
func read(address string) string {
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// readOften reads the page until it has both had an alarm and had none, for long enough that a flapping one has.
func readOften(address string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	seen := map[bool]bool{}
	for i := 0; i < 30 && len(seen) < 2; i++ {
		seen[strings.Contains(read(address), "} 1\n")] = true
		<-tick.C
	}
}

func breaking(verb string, params jenner.Params) func(t *testing.T) faulttest.World {
	return func(t *testing.T) faulttest.World {
		address := free(t)
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { taken.Close() })
		made := func() chaos.Fault {
			_, fault, err := catalog.Merge(Provider).MakeFault("alarm."+verb, "alarm", params)
			if err != nil {
				t.Fatal(err)
			}
			return fault
		}
		return faulttest.World{Fault: made, Record: jenner.FaultRecord{Fault: "alarm." + verb, Params: params, Target: on(address)},
			Absent: on(taken.Addr().String()), Stir: func(t *testing.T) { readOften(address) }}
	}
}

func TestAlertStormConforms(t *testing.T) { faulttest.Run(t, breaking("alert_storm", nil)) }
func TestFlappingConforms(t *testing.T) {
	faulttest.Run(t, breaking("flapping", jenner.Params{"every": jenner.Raw("30ms")}))
}
func TestStaleAlertConforms(t *testing.T) {
	faulttest.Run(t, breaking("stale_alert", jenner.Params{"after": jenner.Raw("200ms")}))
}

func TestL21AlertStormEndsWhoeverIsKilled(t *testing.T) {
	faulttest.Killed(t, breaking("alert_storm", nil))
}

func TestL21FlappingEndsWhoeverIsKilled(t *testing.T) {
	faulttest.Killed(t, breaking("flapping", jenner.Params{"every": jenner.Raw("30ms")}))
}

func TestL21StaleAlertEndsWhoeverIsKilled(t *testing.T) {
	faulttest.Killed(t, breaking("stale_alert", jenner.Params{"after": jenner.Raw("200ms")}))
}

// held serves a fault until the test ends, and gives what it told last.
func held(t *testing.T, address string, fault chaos.Holder) func() served {
	t.Helper()
	told, ended := make(chan any, 1024), make(chan error, 1)
	ctx, end := context.WithCancel(t.Context())
	go func() {
		ended <- fault.Hold(ctx, chaos.Call{Record: jenner.FaultRecord{Target: on(address)}}, func(report any) { told <- report })
	}()
	<-told
	t.Cleanup(func() {
		end()
		await.True(t, "it says that there is no alarm any more", func() bool { return strings.Contains(read(address), "} 0\n") })
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if read(address) != "" {
			t.Error("the page is served after the end")
		}
	})
	var last served
	return func() served {
		for {
			select {
			case report := <-told:
				last = report.(served)
			default:
				return last
			}
		}
	}
}

func TestAStormIsOnOnePage(t *testing.T) {
	address := free(t)
	last := held(t, address, &FaultAlertStorm{Alarms: 700})
	if count := strings.Count(read(address), "} 1\n"); count != 700 {
		t.Errorf("the page has %d alarms", count)
	}
	await.True(t, "it says so", func() bool { return last() == served{Pages: 1, Alarms: 700, Most: 700} })
}

func TestAFlappingAlarmComesAndGoes(t *testing.T) {
	address := free(t)
	last := held(t, address, &FaultFlapping{Every: jenner.Duration(40 * time.Millisecond)})
	seen := map[bool]int{}
	await.True(t, "it comes and goes", func() bool {
		seen[strings.Contains(read(address), "} 1\n")]++
		return seen[true] > 0 && seen[false] > 0 && last().Turns >= 3
	})
}

func TestAStaleAlarmIsLeftBehind(t *testing.T) {
	address := free(t)
	last := held(t, address, &FaultStaleAlert{After: jenner.Duration(300 * time.Millisecond)})
	if !strings.Contains(read(address), "} 1\n") {
		t.Error("there is no alarm in the beginning")
	}
	await.True(t, "the page is gone", func() bool { return last().Silent && read(address) == "" })
}

func TestWhereAPageMayBe(t *testing.T) {
	for listen, fits := range map[string]bool{"127.0.0.1:9911": true, "[::1]:9911": true, "0.0.0.0:9911": false, ":9911": false,
		"127.0.0.1:0": false, "localhost:9911": false, "": false, "192.0.2.1:80": false} {
		if err := (&Target{Listen: listen}).Validate(); (err == nil) != fits {
			t.Errorf("%q: %v", listen, err)
		}
	}
	for name, fault := range map[string]chaos.Validator{"none": &FaultAlertStorm{}, "too many": &FaultAlertStorm{Alarms: maxAlarms + 1},
		"no time": &FaultFlapping{}, "no time at all": &FaultStaleAlert{}} {
		if fault.Validate() == nil {
			t.Error(fmt.Sprint(name, " is accepted"))
		}
	}
}
