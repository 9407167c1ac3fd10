package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// Which server a question is for.
func TestWhoIsAsked(t *testing.T) {
	docs := &jenner.Documents{
		Prometheus: []jenner.Prometheus{{Name: "eu", URL: "http://eu:9090"}, {Name: "main", URL: "http://main:9090", Default: true}},
		Services: []jenner.Service{
			{Name: "named", Prometheus: "eu", Metrics: []jenner.MetricsSource{{Kind: "postgres"}}},
			{Name: "scraped", Metrics: []jenner.MetricsSource{{Scrape: "http://x/metrics"}}},
			{Name: "plain"},
		},
	}
	servers := NewServers(open(t, 0), nil, nil)
	t.Cleanup(servers.Close)
	asked := func(question jenner.Question) string {
		if remote := servers.Of(jenner.Asking(t.Context(), question)); remote != nil {
			return remote.Server().Name
		}
		return ""
	}
	servers.Set(docs)
	for question, want := range map[jenner.Question]string{
		{Service: "named"}: "eu", {Service: "scraped"}: "", {Service: "plain"}: "main", {}: "main", {Service: "unknown"}: "main",
		{Own: true}: "", {Service: "named", Own: true}: "",
	} {
		if got := asked(question); got != want {
			t.Errorf("%+v is asked of %q, want %q", question, got, want)
		}
	}
	if got := servers.Of(t.Context()); got == nil || got.Server().Name != "main" {
		t.Errorf("where nobody says, %v is asked", got)
	}
	docs.Prometheus[1].Default = false
	servers.Set(docs)
	if got := asked(jenner.Question{Service: "plain"}) + asked(jenner.Question{}); got != "" {
		t.Errorf("without a default, %q is asked", got)
	}
	if (*Servers)(nil).Of(t.Context()) != nil {
		t.Error("where there are no servers, one is asked")
	}
}

// A server whose document stays the same keeps what is known of it.
func TestServersOfAReload(t *testing.T) {
	docs := func(age time.Duration) *jenner.Documents {
		return &jenner.Documents{Prometheus: []jenner.Prometheus{{Name: "a", URL: "http://a"},
			{Name: "b", URL: "http://b", MaxAge: jenner.Duration(age), Default: true}}}
	}
	servers := NewServers(open(t, 0), nil, nil)
	t.Cleanup(servers.Close)
	servers.Set(docs(time.Minute))
	a, b := servers.remotes["a"], servers.remotes["b"]
	servers.Set(docs(time.Hour))
	if servers.remotes["a"] != a || servers.remotes["b"] == b || len(servers.Statuses()) != 2 {
		t.Errorf("the servers are %v", servers.remotes)
	}
}

// The view asks the server about its services, and the store about all others.
func TestAViewAsksWhomItShould(t *testing.T) {
	s := newScriptedServer(t)
	s.says("m", vector("7"))
	s.says(ageOfM, vector("1"))
	store := open(t, 0)
	put(t, store, sample("m", time.Now(), 1))
	servers := NewServers(store, nil, nil)
	t.Cleanup(servers.Close)
	servers.Set(&jenner.Documents{Prometheus: []jenner.Prometheus{{Name: "main", URL: s.URL}},
		Services: []jenner.Service{{Name: "far", Prometheus: "main"}, {Name: "near"}}})
	view := View{Store: store, Prober: NewProber(ProberOptions{}), Servers: servers}
	ask := func(telemetry jenner.Telemetry, question jenner.Question) float64 {
		t.Helper()
		ctx := t.Context()
		if question != (jenner.Question{}) {
			ctx = jenner.Asking(ctx, question)
		}
		answer, err := telemetry.Query(ctx, "m")
		if err != nil || len(answer.Samples) != 1 {
			t.Fatalf("got %+v, %v", answer, err)
		}
		return answer.Samples[0].Value
	}
	for _, test := range []struct {
		of       jenner.Telemetry
		question jenner.Question
		want     float64
	}{
		{view, jenner.Question{}, 1}, {view, jenner.Question{Service: "far"}, 7}, {view, jenner.Question{Service: "near"}, 1},
		{view, jenner.Question{Service: "far", Own: true}, 1},
		{view.About("far"), jenner.Question{}, 7}, {view.About("far"), jenner.Question{Service: "near"}, 1}, {view.About("far"), jenner.Question{Own: true}, 1},
	} {
		if got := ask(test.of, test.question); got != test.want {
			t.Errorf("%T %+v gives %g, want %g", test.of, test.question, got, test.want)
		}
	}
	far := jenner.Asking(t.Context(), jenner.Question{Service: "far"})
	put(t, store, sample("own", time.Now(), 1))
	for ctx, want := range map[context.Context]bool{far: false, t.Context(): true} {
		if has, err := view.HasData(ctx, "own"); err != nil || has != want {
			t.Errorf("HasData: %v, %v, want %v", has, err, want)
		}
		if complete, err := view.Complete(ctx, "own", nil); err != nil || complete != want {
			t.Errorf("Complete: %v, %v, want %v", complete, err, want)
		}
	}
	if newest, believed := servers.Heard(jenner.Service{Name: "far", Prometheus: "main"}); time.Since(newest) > time.Minute || believed != jenner.DefaultServerMaxAge {
		t.Errorf("far was heard at %s, and is believed for %s", newest, believed)
	}
	if newest, believed := servers.Heard(jenner.Service{Name: "near"}); !newest.IsZero() || believed != 0 {
		t.Errorf("near was heard at %s, and is believed for %s", newest, believed)
	}
}

// locked is a buffer that several goroutines use.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *locked) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// How servers stand is looked at although nobody asks them anything, is written down, and is told.
func TestServersAreLookedAfter(t *testing.T) {
	s := newScriptedServer(t)
	var mu sync.Mutex
	broken, ahead := true, time.Duration(0)
	s.does(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		return false
	})
	s.says("vector(1)", vector("1"))
	store, log := open(t, 0), &locked{}
	told := make(chan ServerStatus, 100)
	servers := NewServers(store, func(status ServerStatus) { told <- status }, slog.New(slog.NewTextHandler(log, nil)))
	servers.Set(&jenner.Documents{Prometheus: []jenner.Prometheus{{Name: "main", URL: s.URL, Every: jenner.Duration(10 * time.Millisecond)}}})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { servers.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait(); servers.Close() })
	become := func(up bool, series string) {
		t.Helper()
		deadline := time.After(2 * time.Minute)
		for {
			select {
			case status := <-told:
				if status.Up == up {
					becomes(t, store, fmt.Sprintf("%s{server=\"main\"}", MetricServerUp), series)
					return
				}
			case <-deadline:
				t.Fatalf("the server never became up=%v", up)
			}
		}
	}
	become(false, "map[__name__:jenner_telemetry_up server:main]=0")
	mu.Lock()
	broken, ahead = false, time.Hour
	mu.Unlock()
	become(true, "map[__name__:jenner_telemetry_up server:main]=1")
	for _, words := range []string{"does not answer", "answers again", "clock of a server of metrics differs"} {
		if !log.has(words) {
			t.Errorf("the log does not say %q:\n%s", words, log.text.String())
		}
	}
}
