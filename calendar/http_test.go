package calendar_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/calendar"
	"github.com/jenner-heal/jenner/internal/await"
)

var (
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	checkout = jenner.Service{Name: "checkout", Tier: 1}
	freeze   = string(in("", "DTSTART:20260301T100000Z\nDTEND:20260301T140000Z\nX-JENNER-EFFECT:freeze"))
)

// desk is a reader at noon and a server that answers as a function says.
type desk struct {
	*calendar.Reader
	answer atomic.Pointer[http.HandlerFunc]
	now    atomic.Int64
}

func newDesk(t *testing.T, client *http.Client, answer http.HandlerFunc) *desk {
	d := &desk{}
	d.answer.Store(&answer)
	d.now.Store(noon.Unix())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*d.answer.Load())(w, r) }))
	t.Cleanup(server.Close)
	d.Reader = calendar.New(calendar.Options{Client: client, Now: d.time})
	d.Set([]jenner.Calendar{{Name: "ops", ICS: server.URL + "/private-secret/basic.ics"}})
	return d
}

func (d *desk) time() time.Time { return time.Unix(d.now.Load(), 0).UTC() }

// on tells what is on for checkout now, and the gaps.
func (d *desk) on() (events, gaps []string) {
	planned, gaps := d.Planned(checkout, d.time())
	return told(planned), gaps
}

var frozen = []string{"2026-03-01T10:00:00Z/2026-03-01T14:00:00Z freeze it"}

// TestOnlyWhatHasChangedIsAsked: the second time the server may answer 304, and what was read stays.
func TestOnlyWhatHasChangedIsAsked(t *testing.T) {
	var unchanged atomic.Int32
	d := newDesk(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Sun, 01 Mar 2026 09:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") == "Sun, 01 Mar 2026 09:00:00 GMT" {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte(freeze))
	})
	for range 2 {
		if err := d.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if events, gaps := d.on(); !cmp.Equal(events, frozen) || gaps != nil {
			t.Errorf("on: %v, gaps: %v", events, gaps)
		}
	}
	if unchanged.Load() != 1 {
		t.Errorf("%d answers were 304", unchanged.Load())
	}
}

// TestUnchangedCountsAsRead: a calendar that is never changed does not grow too old.
func TestUnchangedCountsAsRead(t *testing.T) {
	d := newDesk(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		_, _ = w.Write([]byte(freeze))
	})
	for range 5 {
		if err := d.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, gaps := d.on(); gaps != nil {
			t.Errorf("gaps: %v", gaps)
		}
		d.now.Add(int64((10 * time.Minute).Seconds()))
	}
}

// TestTheServerIsWrong: what each answer means before anything was read well.
func TestTheServerIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, want string
		next       jenner.What
		answer     http.HandlerFunc
	}{
		{"500", "answers 500 Internal Server Error", jenner.TryAgain, status(500)},
		{"429", "answers 429", jenner.TryAgain, status(429)},
		{"404", "answers 404 Not Found; check the calendar's private address", jenner.TellHuman, status(404)},
		{"204", "answers 204", jenner.TellHuman, status(204)},
		{"304 unasked", "answers 304", jenner.TellHuman, status(304)},
		{"login page", "perhaps a login page", jenner.NeverMind, body("<html>Sign in</html>")},
		{"too big", "larger than 5 MB", jenner.NeverMind, body("BEGIN:VCALENDAR\n" + strings.Repeat("X-A:b\n", 1<<20))},
		{"cut off", "was cut off", jenner.NeverMind, body(freeze[:100])},
		{"broken off", "broke off its answer", jenner.TryAgain, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte(freeze))
		}},
		{"redirects for ever", "does not answer: stopped after 10 redirects", jenner.TryAgain, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}},
		{"redirects to a file", "unsupported protocol", jenner.TryAgain, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, nil, c.answer)
			err := d.Read(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || jenner.NextAfter(err) != c.next {
				t.Errorf("error %v (%s); want one with %q (%s)", err, jenner.NextAfter(err), c.want, c.next)
			}
			if _, gaps := d.on(); len(gaps) != 1 || !strings.Contains(gaps[0], c.want) || !strings.Contains(gaps[0], "never read") {
				t.Errorf("gaps: %q", gaps)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the address is told: %v", err)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// TestAfterAGoodReading: a server that is down is borne until the reading is too old; what cannot be understood is not.
func TestAfterAGoodReading(t *testing.T) {
	d := newDesk(t, nil, body(freeze))
	if err := d.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		later  time.Duration
		gap    string
	}{
		{"down", status(503), 0, ""},
		{"still down", status(503), 15 * time.Minute, ""},
		{"down for too long", status(503), time.Second, "calendar ops: was last read 15m1s ago, and 15m is the most: calendar ops: 127.0.0.1"},
		{"up again", body(freeze), 0, ""},
		{"nonsense", body("nonsense"), 0, "is not a calendar"},
		{"gone", status(410), 0, "answers 410 Gone"},
		{"up once more", body(freeze), 0, ""},
	} {
		d.answer.Store(&c.answer)
		d.now.Add(int64(c.later.Seconds()))
		_ = d.Read(t.Context())
		events, gaps := d.on()
		if !cmp.Equal(events, frozen) {
			t.Errorf("%s: on: %v", c.name, events)
		}
		if joined := strings.Join(gaps, "\n"); c.gap == "" && joined != "" || !strings.Contains(joined, c.gap) {
			t.Errorf("%s: gaps: %q; want %q", c.name, joined, c.gap)
		}
	}
}

// TestASlowServer: the client's patience ends the reading, and it is a gap.
func TestASlowServer(t *testing.T) {
	ended := make(chan struct{})
	d := newDesk(t, &http.Client{Timeout: 50 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	})
	if err := d.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") || jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("error %v", err)
	}
	<-ended
	if _, gaps := d.on(); len(gaps) != 1 {
		t.Errorf("gaps: %q", gaps)
	}
}

// TestASlowServerHoldsUpNobody: the other calendars are read, and Run ends with its context.
func TestASlowServerHoldsUpNobody(t *testing.T) {
	asked := make(chan struct{}, 10)
	d := newDesk(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	quick := httptest.NewServer(body(freeze))
	defer quick.Close()
	slow := httptest.NewServer(*d.answer.Load())
	defer slow.Close()
	d.Set([]jenner.Calendar{{Name: "slow", ICS: slow.URL}, {Name: "quick", ICS: quick.URL}})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { d.Run(ctx); close(ran) }()
	<-asked
	await.True(t, "what is frozen is in force", func() bool { events, _ := d.on(); return cmp.Equal(events, frozen) })
	if _, gaps := d.on(); len(gaps) != 1 || gaps[0] != "calendar slow: was not read yet" {
		t.Errorf("gaps: %q", gaps)
	}
	stop()
	<-ran
}

// TestRedirects: a calendar that has moved is found.
func TestRedirects(t *testing.T) {
	d := newDesk(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/new" {
			http.Redirect(w, r, "/new", http.StatusMovedPermanently)
			return
		}
		_, _ = w.Write([]byte(freeze))
	})
	if err := d.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events, _ := d.on(); !cmp.Equal(events, frozen) {
		t.Errorf("on: %v", events)
	}
}

// TestOtherAddresses: what is neither http, https nor a file is not read, and the error says what to write.
func TestOtherAddresses(t *testing.T) {
	for ics, want := range map[string]string{
		"webcal://example.com/a.ics": "write https in its place", "ftp://example.com/a.ics": "ftp is not read",
		"http://exa mple/": "its URL is not one", "/dev/zero": "is not a file", ".": "is not a file", "none.ics": "no such file",
		"file:///none.ics": "no such file",
	} {
		r := calendar.New(calendar.Options{})
		r.Set([]jenner.Calendar{{Name: "ops", ICS: ics, Dir: t.TempDir()}})
		if err := r.Read(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want one with %q", ics, err, want)
		}
	}
}
