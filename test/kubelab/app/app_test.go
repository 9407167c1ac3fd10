package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSettings(t *testing.T) {
	env := map[string]string{"FAIL_RATE": "0.25", "CRASH_AFTER": "0s", "NEEDS": "a:1,b:2", "WORK_TIME": "2s", "NEVER_READY": "1"}
	s, err := readSettings([]string{"--fail-rate=0.5", "--delay", "10ms"}, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if s.FailRate != 0.5 || s.Delay != 10*time.Millisecond || s.CrashAfter == nil || *s.CrashAfter != 0 || s.HangAfter != nil ||
		len(s.Needs) != 2 || s.WorkTime != 2*time.Second || !s.NeverReady || s.Listen != ":8080" {
		t.Errorf("%+v", s)
	}
	for name, value := range map[string]string{"FAIL_RATE": "1.5", "DELAY": "10", "WORK": "many", "NEEDS_CRASH": "maybe", "ORDER_LOSS": "NaN"} {
		if _, err := readSettings(nil, func(asked string) string { return map[string]string{name: value}[asked] }); err == nil {
			t.Errorf("%s=%s is taken", name, value)
		}
	}
	for _, args := range [][]string{{"--nonsense"}, {"word"}} {
		if _, err := readSettings(args, func(string) string { return "" }); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

func TestParseConfig(t *testing.T) {
	c, err := parseConfig("# shop\nvalue: \"hello: world\"\n\nfail_rate: 0.1\ndelay: 5ms\n")
	if err != nil || c.Value != "hello: world" || *c.FailRate != 0.1 || *c.Delay != 5*time.Millisecond {
		t.Errorf("%+v, %v", c, err)
	}
	for _, text := range []string{"value", "colour: red", "fail_rate: 2", "delay: soon", "{"} {
		if _, err := parseConfig(text); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// newApp serves with settings.
func newApp(t *testing.T, set func(*settings)) (*app, string, chan int) {
	t.Helper()
	s, err := readSettings(nil, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	s.Config = filepath.Join(t.TempDir(), "config.yaml")
	set(&s)
	a := &app{settings: s, metrics: newMetrics("v1"), hung: make(chan struct{}), since: time.Now()}
	ends := make(chan int, 1)
	a.work = newWork(s.WorkDir, s.WorkTime)
	server := httptest.NewServer(a.handler(ends))
	t.Cleanup(func() {
		server.CloseClientConnections()
		if !a.hanging.Load() { // otherwise it waits for ever, as it is meant to
			server.Close()
		}
	})
	return a, server.URL, ends
}

func request(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(body))
}

func TestRequestsAreCounted(t *testing.T) {
	_, url, _ := newApp(t, func(s *settings) { s.Version = "v1" })
	if code, body := request(t, "GET", url+"/"); code != 200 || body != "v1" {
		t.Errorf("%d %s", code, body)
	}
	request(t, "POST", url+"/orders")
	if code, _ := request(t, "POST", url+"/fail?rate=1"); code != 200 {
		t.Errorf("%d", code)
	}
	if code, _ := request(t, "POST", url+"/orders"); code != 500 {
		t.Errorf("told to fail: %d", code)
	}
	request(t, "POST", url+"/fail")
	if code, _ := request(t, "GET", url+"/"); code != 200 {
		t.Errorf("told not to fail any more: %d", code)
	}
	if code, _ := request(t, "POST", url+"/fail?rate=7"); code != 400 {
		t.Errorf("a share of 7: %d", code)
	}
	_, text := request(t, "GET", url+"/metrics")
	for _, line := range []string{`app_info{version="v1"} 1`, `app_requests_total{code="200"} 3`, `app_requests_total{code="500"} 1`, "app_errors_total 1",
		"app_orders_total 1", `app_request_duration_seconds_bucket{le="5"} 4`, `app_request_duration_seconds_bucket{le="+Inf"} 4`,
		"app_request_duration_seconds_count 4", "app_ready 1"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
}

func TestTheHistogram(t *testing.T) {
	m := newMetrics("v1")
	for _, took := range []time.Duration{0, 5 * time.Millisecond, 6 * time.Millisecond, 3 * time.Second, time.Minute} {
		m.count(200, took)
	}
	var text strings.Builder
	m.write(&text, true, newWork("", 0))
	for _, line := range []string{`{le="0.005"} 2`, `{le="0.01"} 3`, `{le="2.5"} 3`, `{le="5"} 4`, `{le="+Inf"} 5`} {
		if !strings.Contains(text.String(), "app_request_duration_seconds_bucket"+line) {
			t.Errorf("%q is missing in\n%s", line, text.String())
		}
	}
}

func TestTheConfigurationIsFollowed(t *testing.T) {
	a, url, _ := newApp(t, func(*settings) {})
	write := func(text string) error {
		if err := os.WriteFile(a.settings.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return a.readConfig()
	}
	if err := a.readConfig(); err != nil { // none is as good as an empty one
		t.Fatal(err)
	}
	if err := write("value: one\nfail_rate: 1"); err != nil {
		t.Fatal(err)
	}
	if code, _ := request(t, "GET", url+"/"); code != 500 {
		t.Errorf("fail_rate 1: %d", code)
	}
	if err := write("value: [two"); err != nil { // odd, but a value
		t.Fatal(err)
	}
	if err := write("nonsense"); err == nil {
		t.Error("nonsense is taken")
	}
	if _, body := request(t, "GET", url+"/config"); body != "[two" {
		t.Errorf("after nonsense the value is %q", body)
	}
}

func TestReadiness(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, url, _ := newApp(t, func(s *settings) { s.Needs = []string{listener.Addr().String()} })
	state := func(want int) {
		t.Helper()
		for _, path := range []string{"/readyz", "/"} {
			if code, body := request(t, "GET", url+path); code != want {
				t.Errorf("%s: %d %s, not %d", path, code, body, want)
			}
		}
		if code, _ := request(t, "GET", url+"/livez"); code != 200 {
			t.Errorf("not alive: %d", code)
		}
	}
	if err := a.reachAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	state(200)
	listener.Close()
	if err := a.reachAll(t.Context()); err == nil {
		t.Fatal("what is gone is reached")
	}
	state(503)
	for name, set := range map[string]func(*app){"never": func(a *app) { a.settings.NeverReady = true },
		"ending": func(a *app) { a.ending.Store(true) }, "starting": func(a *app) { a.settings.ReadyAfter = time.Hour }} {
		b, url, _ := newApp(t, func(*settings) {})
		set(b)
		if code, body := request(t, "GET", url+"/readyz"); code != 503 {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
}

func TestAskedToCrashOrHang(t *testing.T) {
	_, url, ends := newApp(t, func(*settings) {})
	request(t, "POST", url+"/crash")
	if code := <-ends; code != exitCrash {
		t.Errorf("it ends with %d", code)
	}
	a, url, _ := newApp(t, func(*settings) {})
	a.hang()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("it answers while it hangs")
	}
}

// TestWorkIsFinishedOrLost: what is under way at SIGTERM is done, and what is under way at SIGKILL is known to be lost.
func TestWorkIsFinishedOrLost(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(dir, time.Second)
		if err := w.begin(3); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		if taken, done, _ := w.counts(); taken != 6 || done != 3 {
			t.Errorf("%d taken, %d done", taken, done)
		}
		if done := w.finish(); done != 6 {
			t.Errorf("%d done at the end", done)
		}
	})
	journal := filepath.Join(dir, "journal")
	file, err := os.OpenFile(journal, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(file, "taken by-one-who-was-killed") // whose end was not written
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWork(dir, time.Second)
		if err := w.begin(1); err != nil {
			t.Fatal(err)
		}
		if _, _, lost := w.counts(); lost != 1 {
			t.Errorf("%d lost", lost)
		}
		w.finish()
	})
}

func TestAJobFailsAsOftenAsItIsTold(t *testing.T) {
	state := filepath.Join(t.TempDir(), "attempts")
	for i, want := range []int{exitFailed, exitFailed, 0, 0} {
		if code := job(t.Context(), []string{"--fail-times=2", "--state=" + state}); code != want {
			t.Errorf("attempt %d ends with %d", i+1, code)
		}
	}
	if code := job(t.Context(), []string{"--fail-times=-1"}); code != exitFailed {
		t.Errorf("always: %d", code)
	}
	if code := job(t.Context(), nil); code != 0 {
		t.Errorf("never: %d", code)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if code := job(ended, []string{"--takes=1h"}); code != exitFailed {
		t.Errorf("told to end: %d", code)
	}
}

func TestLoadCountsAnswers(t *testing.T) {
	var orders int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orders" && r.Method == http.MethodPost {
			orders++
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	if code := ask(server.Client(), server.URL, false); code != 200 {
		t.Errorf("%d", code)
	}
	if code := ask(server.Client(), server.URL, true); code != 500 || orders != 1 {
		t.Errorf("%d, %d orders", code, orders)
	}
	server.Close()
	if code := ask(server.Client(), server.URL, false); code != 503 {
		t.Errorf("nobody there: %d", code)
	}
}

func TestBurnEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large")
	if code := burn(t.Context(), []string{"--cores=1", "--mb=1", "--disk=" + file, "--disk-mb=1", "--for=1ms"}); code != 0 {
		t.Errorf("it ends with %d", code)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != 1<<20 {
		t.Errorf("%v, %v", info, err)
	}
	if code := burn(t.Context(), []string{"--disk=/nowhere/large", "--for=1h"}); code != exitUsage {
		t.Errorf("where it cannot write it ends with %d", code)
	}
}
