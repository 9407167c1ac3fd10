package http

import (
	"context"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/notify"
)

// received is what a test's service got.
type received struct {
	method, path, body string
	header             nethttp.Header
}

// service answers each request with the next of the answers, the last one again and again.
func service(t *testing.T, answers ...int) (*httptest.Server, func() []received) {
	t.Helper()
	got := make(chan received, 100)
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, _ := io.ReadAll(r.Body)
		status := answers[min(len(got), len(answers)-1)]
		got <- received{r.Method, r.URL.Path, string(body), r.Header}
		w.WriteHeader(status)
		io.WriteString(w, "told")
	}))
	t.Cleanup(server.Close)
	return server, func() []received {
		var all []received
		for len(got) > 0 {
			all = append(all, <-got)
		}
		return all
	}
}

// silent is a service that takes requests and answers none until the test ends.
func silent(t *testing.T) (url string, underWay func() bool) {
	t.Helper()
	asked, over := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		asked <- struct{}{}
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	return server.URL, func() bool { return len(asked) > 0 }
}

func TestRequestConforms(t *testing.T) {
	for name, test := range map[string]struct {
		idempotent bool
		known      act.Happened
	}{"idempotent": {true, act.HappenedNot}, "not": {false, act.HappenedUnknown}} {
		t.Run(name, func(t *testing.T) {
			actiontest.Run(t, func(t *testing.T) actiontest.World {
				server, _ := service(t, 200)
				address := server.URL
				return actiontest.World{
					Action:      func() act.Action { return &Request{Method: "POST", URL: address, Idempotent: test.idempotent} },
					KnownBefore: test.known, KnownAfter: test.known,
					Block: func(t *testing.T) func() bool {
						var underWay func() bool
						address, underWay = silent(t)
						return underWay
					},
				}
			})
		})
	}
}

func TestRequestSends(t *testing.T) {
	server, got := service(t, 202)
	request := &Request{Method: "PUT", URL: "/flush?all=1", Headers: map[string]string{"X-A": "b"}, Body: "now"}
	target := jenner.Target{Kind: "http", Name: "s", Params: jenner.Params{"url": jenner.Raw(server.URL)}}
	result, err := request.Do(t.Context(), act.Call{Key: "key-1", Target: target})
	if err != nil {
		t.Fatal(err)
	}
	all := got()
	if len(all) != 1 || all[0].method != "PUT" || all[0].path != "/flush" || all[0].body != "now" ||
		all[0].header.Get("X-A") != "b" || all[0].header.Get("Idempotency-Key") != "key-1" {
		t.Errorf("the service got %+v", all)
	}
	if output := result.Output.(answer); output.Status != 202 || output.Body != "told" {
		t.Errorf("the output is %+v", output)
	}
}

func TestRequestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		request Request
		answer  int
		next    jenner.What // "" is success
	}{
		"any 2xx":                        {Request{Method: "POST"}, 204, ""},
		"the one that is expected":       {Request{Method: "POST", ExpectStatus: 409}, 409, ""},
		"2xx, but not the expected":      {Request{Method: "POST", ExpectStatus: 201}, 200, jenner.NeverMind},
		"4xx":                            {Request{Method: "POST", Idempotent: true}, 404, jenner.NeverMind},
		"a redirect is an answer":        {Request{Method: "GET"}, 302, jenner.NeverMind},
		"5xx":                            {Request{Method: "POST"}, 500, jenner.TellHuman},
		"5xx, idempotent as it says":     {Request{Method: "POST", Idempotent: true}, 500, jenner.TryAgain},
		"5xx, idempotent by method":      {Request{Method: "DELETE"}, 503, jenner.TryAgain},
		"too many, idempotent by method": {Request{Method: "GET"}, 429, jenner.TryAgain},
		"too many":                       {Request{Method: "PATCH"}, 429, jenner.NeverMind},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := service(t, test.answer)
			test.request.URL = server.URL
			_, err := test.request.Do(t.Context(), act.Call{})
			if (err == nil) != (test.next == "") || err != nil && jenner.NextAfter(err) != test.next {
				t.Errorf("error %v, after which comes %q; want %q", err, jenner.NextAfter(err), test.next)
			}
		})
	}
}

func TestRequestWithoutAnAnswer(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	_, err := (&Request{Method: "POST", URL: closed.URL}).Do(t.Context(), act.Call{})
	if jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("what was never sent may be sent: %v", err)
	}
	broken := httptest.NewServer(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) { panic(nethttp.ErrAbortHandler) }))
	defer broken.Close()
	for method, want := range map[string]jenner.What{"POST": jenner.TellHuman, "PUT": jenner.TryAgain} {
		_, err := (&Request{Method: method, URL: broken.URL}).Do(t.Context(), act.Call{})
		if err == nil || jenner.NextAfter(err) != want {
			t.Errorf("%s: error %v, after which comes %q; want %q", method, err, jenner.NextAfter(err), want)
		}
	}
}

func TestRequestMistakes(t *testing.T) {
	for part, request := range map[string]Request{
		"GET, HEAD":        {Method: "get", URL: "http://x"},
		"url is missing":   {Method: "GET"},
		"not a URL":        {Method: "GET", URL: "http:///x"},
		"expect_status 99": {Method: "GET", URL: "http://x", ExpectStatus: 99},
	} {
		wantError(t, request.Validate(), part)
	}
	_, err := (&Request{Method: "GET", URL: "/x"}).Do(t.Context(), act.Call{})
	wantError(t, err, "relative")
}

func TestWebhook(t *testing.T) {
	message := notify.Message{Key: "k", At: time.Now(), Severity: jenner.SeverityPage, Title: "checkout is down", Body: "b"}
	for name, test := range map[string]struct {
		answers []int
		posts   int
		fails   string
	}{
		"taken":                 {[]int{204}, 1, ""},
		"taken the second time": {[]int{503, 200}, 2, ""},
		"refused":               {[]int{400}, 1, "answered 400: told"},
	} {
		t.Run(name, func(t *testing.T) {
			server, got := service(t, test.answers...)
			err := (&NotifierWebhook{URL: server.URL, Headers: map[string]string{"Authorization": "x"}}).Notify(t.Context(), message)
			if test.fails == "" && err != nil {
				t.Error(err)
			}
			if test.fails != "" {
				wantError(t, err, server.URL, test.fails)
			}
			all := got()
			if len(all) != test.posts {
				t.Fatalf("%d posts, want %d", len(all), test.posts)
			}
			last := all[len(all)-1]
			if last.header.Get("Idempotency-Key") != "k" || last.header.Get("Authorization") != "x" || last.body != string(jenner.Raw(message)) {
				t.Errorf("the webhook got %+v", last)
			}
		})
	}
}

// roundTrip is a service in memory, for tests whose time is a fake.
type roundTrip func(*nethttp.Request) (*nethttp.Response, error)

func (f roundTrip) RoundTrip(request *nethttp.Request) (*nethttp.Response, error) { return f(request) }

func TestWebhookGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		posts := 0
		webhook := &NotifierWebhook{URL: "http://pager", client: &nethttp.Client{Transport: roundTrip(
			func(*nethttp.Request) (*nethttp.Response, error) {
				posts++
				return &nethttp.Response{StatusCode: 503, Body: nethttp.NoBody}, nil
			})}}
		wantError(t, webhook.Notify(t.Context(), notify.Message{}), "http://pager", "answered 503")
		if posts != webhookTries {
			t.Errorf("%d posts, want %d", posts, webhookTries)
		}
	})
}

func TestWebhookTimeoutIsForOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		posts := 0
		webhook := &NotifierWebhook{URL: "http://pager", Timeout: s(1), client: &nethttp.Client{Transport: roundTrip(
			func(request *nethttp.Request) (*nethttp.Response, error) {
				if posts++; posts > 1 {
					return &nethttp.Response{StatusCode: 200, Body: nethttp.NoBody}, nil
				}
				<-request.Context().Done()
				return nil, request.Context().Err()
			})}}
		if err := webhook.Notify(t.Context(), notify.Message{}); err != nil || posts != 2 {
			t.Errorf("%d posts, %v; want a second one after the first had no answer in time", posts, err)
		}
	})
}

func TestWebhookStops(t *testing.T) {
	address, underWay := silent(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&NotifierWebhook{URL: address}).Notify(ctx, notify.Message{}) }()
	for !underWay() {
		runtime.Gosched()
	}
	cancel()
	wantError(t, <-ended, address, "canceled")
}

func TestWebhookMistakes(t *testing.T) {
	wantError(t, (&NotifierWebhook{}).Validate(), "url is missing")
	wantError(t, (&NotifierWebhook{URL: "x"}).Validate(), "not a URL")
}
