package telemetry

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// scriptedServer answers as Prometheus would, as far as the test says. A question that it has no answer for has no data.
type scriptedServer struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]string // PromQL to the body
	asked   []string
	seen    http.Header // of the last request
	handle  func(w http.ResponseWriter, r *http.Request, promql string) bool
}

func newScriptedServer(t *testing.T) *scriptedServer {
	t.Helper()
	s := &scriptedServer{answers: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *scriptedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	promql := r.FormValue("query")
	s.mu.Lock()
	s.asked, s.seen = append(s.asked, promql), r.Header.Clone()
	body, known := s.answers[promql]
	handle := s.handle
	s.mu.Unlock()
	if handle != nil && handle(w, r, promql) {
		return
	}
	if !known {
		body = vector()
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, body)
}

func (s *scriptedServer) says(promql, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[promql] = body
}

func (s *scriptedServer) does(handle func(w http.ResponseWriter, r *http.Request, promql string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = handle
}

// times is how often a question was asked.
func (s *scriptedServer) times(promql string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, one := range s.asked {
		if one == promql {
			n++
		}
	}
	return n
}

// vector is an answer with these numbers, each with the label n.
func vector(values ...string) string {
	list := []map[string]any{}
	for i, value := range values {
		list = append(list, map[string]any{"metric": map[string]string{"__name__": "m", "n": fmt.Sprint(i)}, "value": []any{1, value}})
	}
	raw, err := json.Marshal(map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": list}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// remoteOf asks the scripted server.
func remoteOf(t *testing.T, s *scriptedServer, change ...func(*jenner.Prometheus)) *Remote {
	t.Helper()
	server := jenner.Prometheus{Name: "main", URL: s.URL, Timeout: jenner.Duration(2 * time.Second), Dir: t.TempDir()}
	for _, change := range change {
		change(&server)
	}
	remote := NewRemote(server, nil)
	t.Cleanup(remote.Close)
	return remote
}

const ageOfM = "time() - max(timestamp(m)) - 0"

func TestRemoteAnswers(t *testing.T) {
	s := newScriptedServer(t)
	remote := remoteOf(t, s)
	s.says(ageOfM, vector("3"))
	s.says("m", vector("1", "NaN", "+Inf"))
	answer, err := remote.Query(t.Context(), "m")
	if err != nil || len(answer.Samples) != 2 || answer.Samples[0].Value != 1 || answer.Samples[0].Labels["n"] != "0" ||
		answer.Samples[0].Labels["__name__"] != "m" || time.Since(answer.Samples[0].At).Abs() > time.Minute {
		t.Errorf("got %+v, %v; not-a-number is no data, and infinity is some", answer, err)
	}
	s.says("m > 5", vector())
	if answer, err := remote.Query(t.Context(), "m > 5"); err != nil || !answer.NoData() {
		t.Errorf("got %+v, %v", answer, err)
	}
	s.says("scalar(m)", `{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}`)
	if answer, err := remote.Query(t.Context(), "scalar(m)"); err != nil || len(answer.Samples) != 1 || answer.Samples[0].Value != 7 {
		t.Errorf("got %+v, %v", answer, err)
	}
}

// Every answer that is none: what the error must say, and what may happen next.
func TestRemoteErrors(t *testing.T) {
	status := func(code int, body string) func(w http.ResponseWriter, r *http.Request, promql string) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
			return true
		}
	}
	for name, test := range map[string]struct {
		promql string
		answer func(w http.ResponseWriter, r *http.Request, promql string) bool
		next   jenner.What
		want   string
	}{
		"bad data": {answer: status(400, `{"status":"error","errorType":"bad_data","error":"nobody knows the function ratte"}`),
			next: jenner.NeverMind, want: "server main refuses PromQL m: nobody knows the function ratte"},
		"too much to do": {answer: status(422, `{"status":"error","errorType":"execution","error":"query would load too many samples"}`),
			next: jenner.NeverMind, want: "would load too many samples"},
		"no rights": {answer: status(401, "who are you?"), next: jenner.TellHuman, want: "refuses to be asked: client error: 401 who are you?"},
		"not there": {answer: status(404, "no such page"), next: jenner.TellHuman, want: "404 no such page; look at its url"},
		"no API":    {answer: status(200, "<html>welcome</html>"), next: jenner.TellHuman, want: "does not answer as Prometheus does"},
		"broken":    {answer: status(500, "oh"), next: jenner.TryAgain, want: "server main could not answer m: server error: 500 oh"},
		"busy":      {answer: status(503, "later"), next: jenner.TryAgain, want: "server error: 503 later"},
		"its own time-out": {answer: status(503, `{"status":"error","errorType":"timeout","error":"query timed out"}`),
			next: jenner.TryAgain, want: "query timed out"},
		"a warning": {answer: status(200, strings.Replace(vector("1"), `"data"`, `"warnings":["store b did not answer"],"data"`, 1)),
			next: jenner.TryAgain, want: "gave an incomplete answer to m: store b did not answer"},
		"partial": {answer: status(200, strings.Replace(vector("1"), `"data"`, `"isPartial":true,"data"`, 1)),
			next: jenner.TryAgain, want: "incomplete answer to m"},
		"a histogram": {answer: status(200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1","sum":"2"}]}]}}`),
			next: jenner.NeverMind, want: "native histogram"},
		"too long": {answer: status(200, strings.Repeat(" ", maxAnswer+1)), next: jenner.NeverMind, want: "longer than 10 MB; ask for fewer series"},
		"elsewhere": {answer: func(w http.ResponseWriter, r *http.Request, _ string) bool {
			http.Redirect(w, r, "http://example.invalid/graph/api/v1/query?secret=1", http.StatusTemporaryRedirect)
			return true
		}, next: jenner.TryAgain, want: "redirects to http://example.invalid/graph/api/v1/query; write what"},
		"no PromQL": {promql: "m >", next: jenner.NeverMind, want: "unexpected end of input"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScriptedServer(t)
			s.does(test.answer)
			remote := remoteOf(t, s, func(p *jenner.Prometheus) {
				if p.Timeout = jenner.Duration(time.Minute); strings.Contains(name, "busy") || strings.Contains(name, "time-out") {
					p.Timeout = jenner.Duration(300 * time.Millisecond) // it is asked again until then
				}
			})
			if test.promql == "" {
				test.promql = "m"
			}
			answer, err := remote.Query(t.Context(), test.promql)
			if err == nil || !strings.Contains(err.Error(), test.want) || jenner.NextAfter(err) != test.next || !answer.NoData() {
				t.Errorf("got %+v, %v (%s); want %q (%s)", answer, err, jenner.NextAfter(err), test.want, test.next)
			}
		})
	}
}

// What Prometheus remarks about an expression does not make the answer less.
func TestRemarksAreNoWarnings(t *testing.T) {
	s := newScriptedServer(t)
	s.says(ageOfM, vector("3"))
	s.says("m", strings.Replace(vector("1"), `"data"`, `"warnings":["PromQL info: metric might not be a counter"],"data"`, 1))
	if answer, err := remoteOf(t, s).Query(t.Context(), "m"); err != nil || answer.NoData() {
		t.Errorf("got %+v, %v", answer, err)
	}
}

func TestABusyServerIsAskedAgain(t *testing.T) {
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		s := newScriptedServer(t)
		var tries atomic.Int64
		s.does(func(w http.ResponseWriter, _ *http.Request, promql string) bool {
			if promql != "m" || tries.Add(1) > 2 {
				return false
			}
			w.WriteHeader(code)
			return true
		})
		s.says("m", vector("1"))
		remote := remoteOf(t, s, func(p *jenner.Prometheus) { p.Timeout = jenner.Duration(time.Minute) })
		if answer, err := remote.Query(t.Context(), "m"); err != nil || answer.NoData() || tries.Load() != 3 {
			t.Errorf("%d: got %+v, %v after %d tries", code, answer, err, tries.Load())
		}
	}
}

// A server that wants to be left alone for longer than the question may take is left alone.
func TestRetryAfterIsHeeded(t *testing.T) {
	s := newScriptedServer(t)
	s.does(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	if _, err := remoteOf(t, s).Query(t.Context(), "m"); err == nil || s.times("m") != 1 {
		t.Errorf("%v after %d tries", err, s.times("m"))
	}
}

func TestAServerThatHangsIsAnError(t *testing.T) {
	s := newScriptedServer(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.does(func(http.ResponseWriter, *http.Request, string) bool { <-release; return true })
	remote := remoteOf(t, s, func(p *jenner.Prometheus) {
		p.Timeout = jenner.Duration(50 * time.Millisecond)
		p.Every = jenner.Duration(time.Hour)
	})
	for _, promql := range []string{"a", "b"} {
		answer, err := remote.Query(t.Context(), promql)
		if err == nil || !answer.NoData() || jenner.NextAfter(err) != jenner.TryAgain ||
			!strings.Contains(err.Error(), "server main gave no answer within 50ms to "+promql) {
			t.Fatalf("got %+v, %v", answer, err)
		}
	}
	// Twice in a row: it is left alone, and who asks hears so at once.
	_, err := remote.Query(t.Context(), "c")
	if err == nil || !strings.Contains(err.Error(), "has not answered for") || s.times("c") != 0 {
		t.Errorf("got %v, and it was asked %d times", err, s.times("c"))
	}
	if status := remote.Status(); status.Up || !status.Known || !strings.Contains(status.Why, "no answer within 50ms") {
		t.Errorf("the status is %+v", status)
	}
}

// Somebody who gives up does not take the answer away from others who asked the same.
func TestWhoGivesUpTakesNothingAway(t *testing.T) {
	s := newScriptedServer(t)
	release, asked := make(chan struct{}), make(chan struct{}, 10)
	s.does(func(_ http.ResponseWriter, _ *http.Request, promql string) bool {
		if promql == "m" {
			asked <- struct{}{}
			<-release
		}
		return false
	})
	s.says("m", vector("1"))
	remote := remoteOf(t, s, func(p *jenner.Prometheus) { p.Timeout = jenner.Duration(time.Minute) })
	impatient, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := remote.Query(impatient, "m")
		gaveUp <- err
	}()
	<-asked
	answered := make(chan error)
	go func() {
		answer, err := remote.Query(t.Context(), "m")
		if err == nil && answer.NoData() {
			err = fmt.Errorf("no answer")
		}
		answered <- err
	}()
	cancel()
	if err := <-gaveUp; err == nil {
		t.Error("who gave up has an answer")
	}
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestTheSameQuestionIsAskedOnce(t *testing.T) {
	s := newScriptedServer(t)
	release := make(chan struct{})
	s.does(func(http.ResponseWriter, *http.Request, string) bool { <-release; return false })
	remote := remoteOf(t, s, func(p *jenner.Prometheus) { p.Timeout = jenner.Duration(time.Minute) })
	var asking, done sync.WaitGroup
	for range 20 {
		asking.Add(1)
		done.Go(func() {
			asking.Done()
			if _, err := remote.Query(t.Context(), "m > 5"); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	close(release)
	done.Wait()
	if n := s.times("m > 5"); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

func TestNotMoreThanEightAtOnce(t *testing.T) {
	s := newScriptedServer(t)
	var now, most atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	s.does(func(http.ResponseWriter, *http.Request, string) bool {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
			if n == maxAtOnce {
				once.Do(func() { close(full) })
			}
		}
		<-full // until eight are there
		now.Add(-1)
		return false
	})
	remote := remoteOf(t, s, func(p *jenner.Prometheus) { p.Timeout = jenner.Duration(time.Minute) })
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if _, err := remote.Query(t.Context(), fmt.Sprintf("m > %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() > maxAtOnce {
		t.Errorf("%d questions were under way at the same time", most.Load())
	}
}

func TestWhoAsksIsSaid(t *testing.T) {
	s := newScriptedServer(t)
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	give := func(text string) {
		if err := os.WriteFile(token, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	give("one")
	t.Setenv("JENNER_TEST_TOKEN", "three")
	n := 0
	ask := func(remote *Remote, want string) {
		t.Helper()
		n++
		if _, err := remote.Query(t.Context(), fmt.Sprintf("m > %d", n)); err != nil {
			t.Fatal(err)
		}
		if got := s.seen.Get("Authorization"); got != want {
			t.Errorf("it said %q, want %q", got, want)
		}
	}
	byFile := remoteOf(t, s, func(p *jenner.Prometheus) { p.BearerTokenFile, p.Dir, p.Tenant = "token", dir, "team-a" })
	ask(byFile, "Bearer one")
	if got := s.seen.Get("X-Scope-OrgID"); got != "team-a" {
		t.Errorf("the tenant is %q", got)
	}
	give("two") // a token that was renewed
	ask(byFile, "Bearer two")
	ask(remoteOf(t, s, func(p *jenner.Prometheus) { p.BearerTokenEnv = "JENNER_TEST_TOKEN" }), "Bearer three")
	ask(remoteOf(t, s, func(p *jenner.Prometheus) { p.Username, p.PasswordFile = "ann", token }), "Basic YW5uOnR3bw==")
	ask(remoteOf(t, s), "")
	for _, without := range []func(*jenner.Prometheus){
		func(p *jenner.Prometheus) { p.BearerTokenFile = filepath.Join(dir, "none") },
		func(p *jenner.Prometheus) { p.BearerTokenEnv = "JENNER_TEST_NO_TOKEN" },
		func(p *jenner.Prometheus) { p.CAFile = filepath.Join(dir, "none") },
		func(p *jenner.Prometheus) { p.CAFile = token },
		func(p *jenner.Prometheus) { p.URL = "localhost:9090" },
	} {
		if _, err := remoteOf(t, s, without).Query(t.Context(), "m"); err == nil {
			t.Error("a server was asked without what it needs")
		}
	}
}

func TestAServerBehindTLS(t *testing.T) {
	s := &scriptedServer{answers: map[string]string{}}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remoteOf(t, s).Query(t.Context(), "m"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority was believed: %v", err)
	}
	for name, change := range map[string]func(*jenner.Prometheus){
		"ca_file":  func(p *jenner.Prometheus) { p.CAFile = ca },
		"insecure": func(p *jenner.Prometheus) { p.Insecure = true },
	} {
		if _, err := remoteOf(t, s, change).Query(t.Context(), "m"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that ignores lookback_delta hands out numbers that are five minutes old.
func TestOldNumbersAreNoData(t *testing.T) {
	s := newScriptedServer(t)
	remote := remoteOf(t, s)
	s.says("m > 0", vector("1"))
	s.says(ageOfM, vector("200"))
	if answer, err := remote.Query(t.Context(), "m > 0"); err != nil || !answer.NoData() {
		t.Errorf("got %+v, %v from numbers that are 200 s old", answer, err)
	}
	if has, err := remote.HasData(t.Context(), "m > 0"); err != nil || has {
		t.Errorf("HasData says %v, %v", has, err)
	}
	// Of two metrics one may be absent, as in `a or b`; but not old.
	s.says("x or y", vector("1"))
	s.says("time() - max(timestamp(x)) - 0", vector("10"))
	ctx := jenner.Asking(t.Context(), jenner.Question{Service: "shop"})
	if answer, err := remote.Query(ctx, "x or y"); err != nil || answer.NoData() {
		t.Errorf("got %+v, %v", answer, err)
	}
	if has, err := remote.HasData(ctx, "x or y"); err != nil || has {
		t.Errorf("HasData says %v, %v without y", has, err)
	}
	if age := time.Since(remote.Heard("shop")); age < 10*time.Second || age > time.Minute {
		t.Errorf("the newest number of shop is %s old, want about 10 s", age)
	}
	if at := remote.Heard("bank"); !at.IsZero() {
		t.Errorf("the newest number of bank is of %s", at)
	}
	if _, err := remote.Query(jenner.Asking(t.Context(), jenner.Question{}), "x or y"); err != nil {
		t.Fatal(err)
	}
	if age := time.Since(remote.Heard("bank")); age > time.Minute {
		t.Errorf("the newest number of a catalogue, which may be about bank, is %s old", age)
	}
}

// That a number is young is found out once, for it stays true until the number would be too old.
func TestFreshnessIsAskedOnce(t *testing.T) {
	s := newScriptedServer(t)
	remote := remoteOf(t, s)
	s.says(ageOfM, vector("3"))
	for i := range 5 {
		promql := fmt.Sprintf("m > %d", i)
		s.says(promql, vector("9"))
		if answer, err := remote.Query(t.Context(), promql); err != nil || answer.NoData() {
			t.Fatalf("got %+v, %v", answer, err)
		}
	}
	if n := s.times(ageOfM); n != 1 {
		t.Errorf("the age was asked %d times", n)
	}
}

func TestTheAgeOfASelector(t *testing.T) {
	for promql, want := range map[string]string{
		"m":                           ageOfM,
		`rate(m{a="b"}[5m]) > 3`:      `time() - max(timestamp(m{a="b"})) - 0`,
		"m offset 1h":                 "time() - max(timestamp(m offset 1h)) - 3600",
		"max_over_time(m[1h:1m] @ 7)": ageOfM,
		"m @ 7":                       "0 * count(m @ 7.000)",
	} {
		selectors, err := selectorsOf(promql)
		if err != nil || len(selectors) != 1 || selectors[0].age() != want {
			t.Errorf("%s: got %+v, %v, want %s", promql, selectors, err, want)
			continue
		}
		if err := ParseCheck(selectors[0].age()); err != nil {
			t.Error(err)
		}
	}
}

func TestClocksAreCompared(t *testing.T) {
	s := newScriptedServer(t)
	s.does(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		return false
	})
	remote := remoteOf(t, s)
	if err := remote.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	status := remote.Status()
	if off := (status.Skew - time.Hour).Abs(); off > time.Minute || !status.Up {
		t.Errorf("the status is %+v", status)
	}
}
