package network

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
)

func TestTargetsThatAreRefused(t *testing.T) {
	for want, params := range map[string]map[string]any{
		"everything is never meant": {},
		"is everything":             {"peer": "0.0.0.0/0"},
		"::/0 without a port":       {"peer": "::/0"},
		"neither an address":        {"peer": "db.internal"},
		"fe80::1%eth0":              {"peer": "fe80::1%eth0"},
		"not one from 1 to 65535":   {"port": 65536},
		"port -1":                   {"port": -1},
		"not tcp, udp or any":       {"port": 1, "protocol": "icmp"},
		"any has no ports":          {"port": 1, "protocol": "any"},
		"not in, out or both":       {"port": 1, "direction": "up"},
		"no name of an interface":   {"port": 1, "interface": "a name that is too long"},
		"write one":                 {"port": 1, "namespace": "/run/netns/a", "pidfile": "a.pid"},
		"host":                      {"port": 1, "host": "a"},
	} {
		written := jenner.Params{}
		for name, value := range params {
			written[name] = jenner.Raw(value)
		}
		_, err := decode(jenner.Target{Kind: "network", Name: "wire", Params: written})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	for want, fault := range map[string]string{
		"not reset, unreachable or none": `partition {"reject":"politely"}`,
		"share is missing":               `loss {}`,
		"below 0.01%":                    `loss {"share":"0.004%"}`,
		"outside 0% to 100%":             `loss {"share":"101%"}`,
		"delay is missing":               `latency {}`,
		"before it came":                 `latency {"delay":"1ms","jitter":"2ms"}`,
		"use network.partition":          `latency {"delay":"9s","jitter":"2s"}`,
		"rate is missing":                `bandwidth {}`,
		"below 8kbit":                    `bandwidth {"rate":"7999bit"}`,
		"is not a rate":                  `bandwidth {"rate":"1000"}`,
		"more than 100gbit":              `bandwidth {"rate":"101gbit"}`,
		"every 1ms is too often":         `reset {"every":"1ms"}`,
	} {
		name, params, _ := strings.Cut(fault, " ")
		if _, err := decoded(t, name, params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", fault, err, want)
		}
	}
}

func decoded(t *testing.T, name, params string) (chaos.Fault, error) {
	t.Helper()
	written := jenner.Params{}
	if err := json.Unmarshal([]byte(params), &written); err != nil {
		t.Fatal(err)
	}
	_, fault, err := catalog.Merge(Provider).MakeFault(name, "network", written)
	return fault, err
}

func TestRates(t *testing.T) {
	for written, want := range map[string]Rate{"8kbit": 8000, "1.5mbit": 1_500_000, "2gbit": 2_000_000_000, "9000bit": 9000} {
		var rate Rate
		if err := rate.UnmarshalText([]byte(written)); err != nil || rate != want {
			t.Errorf("%s is %d (%v), want %d", written, rate, err, want)
		}
		var again Rate
		if err := again.UnmarshalText([]byte(rate.String())); err != nil || again != rate {
			t.Errorf("%s is written as %s and read as %s, %v", written, rate, again, err)
		}
	}
}

// What is not there, or cannot be chosen so, is refused before anything is touched.
func TestWorldsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for want, test := range map[string]struct {
		fault, params string
		target        map[string]any
	}{
		"cannot open the network namespace":    {"partition", `{}`, map[string]any{"port": 1, "namespace": "/run/netns/gone"}},
		"/dev/null is no network namespace":    {"partition", `{}`, map[string]any{"port": 1, "namespace": "/dev/null"}},
		"no process is known":                  {"partition", `{}`, map[string]any{"port": 1, "namespace": "", "pidfile": "/run/gone.pid"}},
		"interface eth7: Link not found":       {"partition", `{}`, map[string]any{"port": 1, "interface": "eth7"}},
		"only TCP can be reset":                {"partition", `{"reject":"reset"}`, map[string]any{"peer": theirs}},
		"there is no live TCP connection":      {"reset", `{}`, map[string]any{"port": echoPort}},
		"only TCP connections can be cut":      {"reset", `{}`, map[string]any{"port": echoPort, "protocol": "udp"}},
		"neither a direction nor an interface": {"reset", `{}`, map[string]any{"port": echoPort, "direction": "in"}},
		"the interface is not known":           {"bandwidth", `{"rate":"1mbit"}`, map[string]any{"port": echoPort}},
		"no way leads to peer 192.0.2.1":       {"bandwidth", `{"rate":"1mbit"}`, map[string]any{"peer": "192.0.2.1"}},
	} {
		t.Run(want, func(t *testing.T) {
			fault, err := decoded(t, test.fault, test.params)
			if err != nil {
				t.Fatal(err)
			}
			_, err = fault.(chaos.Checkpointer).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "refused", Target: w.target(test.target)}})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	if rules := w.rules(t); rules != "" {
		t.Errorf("a refused fault left rules:\n%s", rules)
	}
}

// without runs work on a thread that has lost a capability, and that nobody uses afterwards.
func without(t *testing.T, capability int, work func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&header, &data[0])
		if err == nil {
			data[capability/32].Effective &^= 1 << (capability % 32)
			err = unix.Capset(&header, &data[0])
		}
		if err == nil {
			work()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestMissingRightsAreNamed(t *testing.T) {
	w := newWorld(t)
	for want, capability := range map[string]int{"needs CAP_NET_ADMIN; run as root": unix.CAP_NET_ADMIN, "needs CAP_SYS_ADMIN; run as root": unix.CAP_SYS_ADMIN} {
		for name, params := range map[string]string{"partition": `{}`, "loss": `{"share":"1%"}`, "latency": `{"delay":"1ms"}`,
			"bandwidth": `{"rate":"1mbit"}`, "reset": `{}`} {
			fault, err := decoded(t, name, params)
			if err != nil {
				t.Fatal(err)
			}
			without(t, capability, func() {
				_, err = fault.(chaos.Checkpointer).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "poor", Target: w.target(server)}})
			})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// A target by pidfile: the fault stays where it was made, also when the process comes back in another namespace, and its
// undo finds it there.
func TestTheProcessComesBackInAnotherNamespace(t *testing.T) {
	w := newWorld(t)
	pidfile := filepath.Join(t.TempDir(), "shop.pid")
	keeper := living(t, w.ours, filepath.Join(t.TempDir(), "other.pid"))
	first := living(t, w.ours, pidfile)
	f := w.inject(t, "partition", nil, map[string]any{"namespace": "", "pidfile": pidfile, "port": echoPort})
	if err := w.blocked("tcp", at(theirs, echoPort)); !timedOut(err) {
		t.Errorf("through the partition: %v", err)
	}
	end(t, first)
	living(t, namespace(t), pidfile)
	f.undo()
	if rules := w.rules(t); rules != "" {
		t.Errorf("left behind where the fault was:\n%s", rules)
	}
	end(t, keeper)
}

// With its namespace all of a fault is gone, and there is nothing to undo.
func TestTheNamespaceIsGone(t *testing.T) {
	w := newWorld(t)
	lonely := namespace(t)
	pidfile := filepath.Join(t.TempDir(), "shop.pid")
	process := living(t, lonely, pidfile)
	f := w.inject(t, "partition", nil, map[string]any{"namespace": "", "pidfile": pidfile, "port": echoPort})
	if err := lonely.Close(); err != nil {
		t.Fatal(err)
	}
	end(t, process)
	f.undo()
}

// living is a process in a namespace.
func living(t *testing.T, in *lab.Namespace, pidfile string) (process *lab.Process) {
	t.Helper()
	sleep, err := lab.Need("sleep", "coreutils")
	if err == nil {
		err = in.Do(func() (err error) {
			process, err = lab.Start(lab.Options{}, sleep, "600")
			return err
		})
	}
	if err == nil {
		err = os.WriteFile(pidfile, fmt.Appendln(nil, process.Pid()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, process) })
	return process
}

func end(t *testing.T, process *lab.Process) {
	t.Helper()
	if err := process.Stop(syscall.SIGKILL, time.Second); err != nil {
		t.Error(err)
	}
}
