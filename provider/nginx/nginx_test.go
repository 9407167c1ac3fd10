package nginx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/telemetry"
)

// web is an nginx that answers with a word.
type web struct {
	t      *testing.T
	nginx  *lab.Nginx
	port   int
	target jenner.Target
}

func prepared(t *testing.T) *web {
	t.Helper()
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	w := &web{t: t, port: port}
	if w.nginx, err = lab.PrepareNginx(filepath.Join(t.TempDir(), "nginx"), w.config("one")); err != nil {
		t.Fatal(err)
	}
	w.target = jenner.Target{Kind: "nginx", Name: "web", Dir: w.nginx.Prefix, Params: jenner.Params{"config": jenner.Raw("nginx.conf"),
		"pidfile": jenner.Raw("nginx.pid"), "prefix": jenner.Raw(".")}}
	t.Cleanup(w.end)
	return w
}

func running(t *testing.T) *web {
	t.Helper()
	w := prepared(t)
	if err := w.nginx.Start(limited(t), w.port); err != nil {
		t.Fatal(err)
	}
	await.True(t, "there are workers", func() bool { return len(w.seen().Workers) > 0 })
	return w
}

func (w *web) config(answer string) string {
	return lab.NginxConfig(fmt.Sprintf("server { listen 127.0.0.1:%d; location / { return 200 %q; } }", w.port, answer))
}

func (w *web) write(config string) {
	w.t.Helper()
	if err := os.WriteFile(w.nginx.Config, []byte(config), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// end ends whatever the pidfile names, also where an action started it.
func (w *web) end() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), await.Patience)
	defer cancel()
	if _, seen, err := see(w.target); err == nil && seen.Alive {
		unix.Kill(seen.Master.Pid, unix.SIGCONT)
	}
	if _, err := ensureGone(ctx, w.target, time.Millisecond); err != nil {
		w.t.Error(err)
	}
	if err := w.nginx.Stop(); err != nil {
		w.t.Error(err)
	}
}

func (w *web) seen() sight {
	w.t.Helper()
	_, seen, err := see(w.target)
	if err != nil {
		w.t.Fatal(err)
	}
	return seen
}

func (w *web) answers() string {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: await.Patience}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", w.port))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(body)
}

func (w *web) call() act.Call { return act.Call{Target: w.target} }

// mood is what an undo brings back: that it runs, not which processes.
func (w *web) mood(*testing.T) string { return fmt.Sprint(w.seen().Alive) }

// reloaded is somebody else's reload.
func (w *web) reloaded(t *testing.T) {
	if _, err := (&Reload{}).Do(limited(t), w.call()); err != nil {
		t.Fatal(err)
	}
}

// deafened makes the master deaf: what it is sent waits until it goes on.
func (w *web) deafened(t *testing.T) func() bool {
	master := w.seen().Master.Pid
	if err := unix.Kill(master, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		pending, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", master))
		if err != nil {
			return false
		}
		_, mask, _ := strings.Cut(string(pending), "ShdPnd:\t")
		mask, _, _ = strings.Cut(mask, "\n")
		return strings.Trim(mask, "0") != ""
	}
}

func TestReloadConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		w := running(t)
		return actiontest.World{Action: func() act.Action { return &Reload{} }, Call: w.call(), Meddle: w.reloaded, Block: w.deafened}
	})
}

func TestStopConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		w := running(t)
		return actiontest.World{Action: func() act.Action { return &Stop{} }, Call: w.call(), State: w.mood, Block: w.deafened,
			Meddle: func(t *testing.T) {
				if _, err := ensureRunning(limited(t), w.target); err != nil {
					t.Fatal(err)
				}
			}}
	})
}

func TestStartConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		w := prepared(t)
		return actiontest.World{Action: func() act.Action { return &Start{} }, Call: w.call(), State: w.mood, Meddle: w.reloaded}
	})
	t.Run("of one that runs", func(t *testing.T) {
		actiontest.Run(t, func(t *testing.T) actiontest.World {
			w := running(t)
			return actiontest.World{Action: func() act.Action { return &Start{} }, Call: w.call(), Already: true, Meddle: w.reloaded}
		})
	})
}

func TestCheckConfigConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		return actiontest.World{Action: func() act.Action { return &CheckConfig{} }, Call: prepared(t).call(), Already: true}
	})
}

func TestProbeConfigConforms(t *testing.T) {
	setup := func(t *testing.T, change func(w *web)) (telemetry.Probe, telemetry.ProbeCall) {
		w := prepared(t)
		change(w)
		return &ProbeConfig{}, telemetry.ProbeCall{Service: jenner.Service{Name: "web", Targets: []jenner.Target{w.target}}}
	}
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) { return setup(t, func(*web) {}) },
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return setup(t, func(w *web) { w.write("lsten 80;") })
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return setup(t, func(w *web) {
				slow := filepath.Join(w.nginx.Prefix, "slow")
				if err := os.WriteFile(slow, []byte("#!/bin/sh\nsleep 60\n"), 0o755); err != nil {
					t.Fatal(err)
				}
				w.target.Params["bin"] = jenner.Raw("./slow")
			})
		},
	})
}

// A reload serves what the files hold now.
func TestReloadServesTheNewConfiguration(t *testing.T) {
	w := running(t)
	w.write(w.config("two"))
	if got := w.answers(); got != "one" {
		t.Errorf("before the reload it answers %q", got)
	}
	was := w.seen()
	result, err := (&Reload{}).Do(limited(t), w.call())
	if err != nil || !result.Changed || !strings.Contains(result.Summary, "1 new workers") {
		t.Fatalf("the reload says %+v, %v", result, err)
	}
	if got := w.answers(); got != "two" {
		t.Errorf("after the reload it answers %q", got)
	}
	if is := w.seen(); !is.sameMaster(was) || !is.renewed(was) {
		t.Errorf("it was %s and is %s", was, is)
	}
}

// A configuration that nginx refuses is never loaded, and its own words say why.
func TestABadConfigurationIsRefused(t *testing.T) {
	w := running(t)
	was := w.seen()
	w.write(strings.Replace(w.config("two"), "listen", "lsten", 1))
	actions := map[string]act.Action{"reload": &Reload{}, "check_config": &CheckConfig{}}
	for name, action := range actions {
		_, err := action.Do(limited(t), w.call())
		wantError(t, err, "refuses", `unknown directive "lsten"`, "nginx.conf:")
		if jenner.NextAfter(err) != jenner.NeverMind {
			t.Errorf("%s: trying again cannot help", name)
		}
	}
	wantError(t, (&Reload{}).Check(t.Context(), w.call()), "lsten")
	if is := w.seen(); is.String() != was.String() || w.answers() != "one" {
		t.Errorf("it was %s and is %s", was, is)
	}
	probe := (&ProbeConfig{}).Probe(t.Context(), telemetry.ProbeCall{Service: jenner.Service{Targets: []jenner.Target{w.target}}})
	if probe.Outcome != telemetry.Failed || !strings.Contains(probe.Message, "lsten") {
		t.Errorf("the probe says %+v", probe)
	}
}

// Accepted by the check and refused by the reload: the port is somebody else's. The old workers go on.
func TestAReloadThatDoesNotHappenIsAnError(t *testing.T) {
	w := running(t)
	taken, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", taken)}
	go other.ListenAndServe()
	t.Cleanup(func() { other.Close() })
	await.True(t, "the other listens", func() bool {
		response, err := http.Get("http://" + other.Addr)
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
	call, was := w.call(), w.seen()
	call.Checkpoint = jenner.Raw(was)
	w.write(strings.Replace(w.config("two"), fmt.Sprint(w.port), fmt.Sprint(taken), 1))
	ctx, cancel := context.WithCancelCause(limited(t))
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		_, err := (&Reload{}).Do(ctx, call)
		ended <- err
	}()
	log := filepath.Join(w.nginx.Prefix, "error.log")
	await.True(t, "nginx says that it cannot", func() bool {
		said, _ := os.ReadFile(log)
		return strings.Contains(string(said), "still could not bind()")
	})
	cancel(errors.New("the step took too long"))
	wantError(t, <-ended, "has not started new workers", "took too long", "error log")
	if got, err := (&Reload{}).Happened(t.Context(), call); got != act.HappenedNot || err != nil {
		t.Errorf("Happened is %s, %v", got, err)
	}
	if got := w.answers(); got != "one" {
		t.Errorf("it answers %q", got)
	}
}

// Whoever started another master since has loaded the configuration as well.
func TestANewMasterHasReadTheConfiguration(t *testing.T) {
	w := running(t)
	call := w.call()
	call.Checkpoint = jenner.Raw(w.seen())
	if _, err := ensureGone(limited(t), w.target, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if got, err := (&Reload{}).Happened(t.Context(), call); got != act.HappenedNot || err != nil {
		t.Errorf("while it is gone, Happened is %s, %v", got, err)
	}
	if _, err := ensureRunning(limited(t), w.target); err != nil {
		t.Fatal(err)
	}
	if got, err := (&Reload{}).Happened(t.Context(), call); got != act.HappenedDone || err != nil {
		t.Errorf("Happened is %s, %v", got, err)
	}
}

// downloading is a request that nginx does not come to the end of.
func (w *web) downloading() {
	w.t.Helper()
	w.write(lab.NginxConfig(fmt.Sprintf("server { listen 127.0.0.1:%d; location / { limit_rate_after 4k; limit_rate 1; root .; } }", w.port)))
	if err := os.WriteFile(filepath.Join(w.nginx.Prefix, "large"), make([]byte, 1<<20), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.reloaded(w.t)
	request, err := http.NewRequestWithContext(limited(w.t), "GET", fmt.Sprintf("http://127.0.0.1:%d/large", w.port), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { response.Body.Close() })
}

// Requests that take longer than the grace do not keep it alive.
func TestStopDoesNotWaitForEver(t *testing.T) {
	w := running(t)
	w.downloading()
	result, err := (&Stop{Grace: jenner.Duration(50 * time.Millisecond)}).Do(limited(t), w.call())
	if err != nil || !strings.Contains(result.Summary, "SIGTERM, for its requests took longer than 50ms") {
		t.Errorf("the stop says %+v, %v", result, err)
	}
	if w.seen().Alive {
		t.Error("it lives")
	}
}

// A reload lets the old workers finish their requests, and does not wait for them.
func TestReloadDoesNotWaitForOldRequests(t *testing.T) {
	w := running(t)
	w.downloading()
	old := w.seen().Workers[0]
	w.write(w.config("two"))
	w.reloaded(t)
	if got := w.answers(); got != "two" {
		t.Errorf("it answers %q", got)
	}
	if start, title, living, err := examine(old.Pid); err != nil || !living || start != old.Start {
		t.Errorf("the old worker was not let finish: %q, %v", title, err)
	}
}

// A pidfile that names somebody else's process is never acted on.
func TestSomebodyElsesProcess(t *testing.T) {
	w := prepared(t)
	stranger, err := lab.Start(lab.Options{}, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Stop(unix.SIGKILL, await.Patience) })
	pid := fmt.Sprintln(stranger.Pid())
	if err := os.WriteFile(w.nginx.Pidfile, []byte(pid), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, action := range []act.Action{&Reload{}, &Start{}, &Stop{}} {
		_, err := action.Do(limited(t), w.call())
		wantError(t, err, "somebody else's process", strings.TrimSpace(pid))
	}
	select {
	case <-stranger.Ended():
		t.Error("somebody else's process was ended")
	default:
	}
	if err := os.WriteFile(w.nginx.Pidfile, []byte("many\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = (&Stop{}).Do(limited(t), w.call())
	wantError(t, err, "which is no pid")
	if err := os.Remove(w.nginx.Pidfile); err != nil {
		t.Fatal(err)
	}
	_, err = (&Reload{}).Do(limited(t), w.call())
	wantError(t, err, "cannot be reloaded", "there is no pid")
}

// What cannot be started says why, in nginx's words.
func TestAStartThatFails(t *testing.T) {
	w := running(t)
	other := prepared(t)
	other.write(strings.Replace(other.config("two"), fmt.Sprint(other.port), fmt.Sprint(w.port), 1))
	_, err := (&Start{}).Do(limited(t), other.call())
	wantError(t, err, "nginx did not start", "Address already in use")
	other.target.Params["bin"] = jenner.Raw("./nowhere")
	_, err = (&Start{}).Do(limited(t), other.call())
	wantError(t, err, "nowhere", "cannot be run", "apt-get install")
	if probe := (&ProbeConfig{}).Probe(t.Context(), telemetry.ProbeCall{Service: jenner.Service{Targets: []jenner.Target{other.target}}}); probe.Outcome != telemetry.Unknown {
		t.Errorf("where nginx cannot be run the probe says %+v", probe)
	}
}

func TestTargetsThatAreWrong(t *testing.T) {
	for _, params := range []jenner.Params{{"config": jenner.Raw("a")}, {"pidfile": jenner.Raw("a")}} {
		if _, err := decode(jenner.Target{Kind: "nginx", Params: params}); err == nil {
			t.Errorf("accepted: %v", params)
		}
	}
	service := jenner.Service{Name: "web", Targets: []jenner.Target{{Kind: "nginx", Name: "one"}, {Kind: "nginx", Name: "two"}}}
	_, err := named(service, "")
	wantError(t, err, "2 targets", "target: NAME")
	_, err = named(service, "on")
	wantError(t, err, `"on"`, "one")
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	return ctx
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not tell %q", err, part)
		}
	}
}
