package http

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/telemetry"
)

func TestProbeHTTP(t *testing.T) {
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return &ProbeHTTP{URL: serving(t).URL + "/ready"}, telemetry.ProbeCall{}
		},
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return &ProbeHTTP{URL: serving(t).URL + "/broken"}, telemetry.ProbeCall{}
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return &ProbeHTTP{URL: hanging(t)}, telemetry.ProbeCall{}
		},
		Wrong: map[string]telemetry.Probe{
			"empty":        &ProbeHTTP{},
			"no scheme":    &ProbeHTTP{URL: "127.0.0.1:80/x"},
			"other scheme": &ProbeHTTP{URL: "ftp://127.0.0.1/x"},
			"no host":      &ProbeHTTP{URL: "http:///x"},
			"bad method":   &ProbeHTTP{URL: "http://127.0.0.1/", Method: "GE T"},
			"bad status":   &ProbeHTTP{URL: "http://127.0.0.1/", ExpectStatus: []int{20}},
			"bad header":   &ProbeHTTP{URL: "http://127.0.0.1/", Headers: map[string]string{"X Y": "z"}},
			"split header": &ProbeHTTP{URL: "http://127.0.0.1/", Headers: map[string]string{"X": "z\r\nA: b"}},
		},
	})
}

func TestProbeHTTPAnswers(t *testing.T) {
	url := serving(t).URL
	for _, tc := range []struct {
		name  string
		probe ProbeHTTP
		want  telemetry.Outcome
		says  string
	}{
		{"any 2xx", ProbeHTTP{URL: url + "/made"}, telemetry.OK, ""},
		{"not this 2xx", ProbeHTTP{URL: url + "/made", ExpectStatus: []int{200, 204}}, telemetry.Failed, "status 201, expected 200 204"},
		{"an expected 503", ProbeHTTP{URL: url + "/broken", ExpectStatus: []int{503}}, telemetry.OK, ""},
		{"the answer is quoted", ProbeHTTP{URL: url + "/broken"}, telemetry.Failed, `status 503, expected 2xx: ledger is away`},
		{"a redirect is not 2xx", ProbeHTTP{URL: url + "/moved"}, telemetry.Failed, "status 302"},
		{"a redirect that is followed", ProbeHTTP{URL: url + "/moved", FollowRedirects: true}, telemetry.OK, ""},
		{"the body has it", ProbeHTTP{URL: url + "/ready", BodyContains: "rea"}, telemetry.OK, ""},
		{"the body has it not", ProbeHTTP{URL: url + "/ready", BodyContains: "steady"}, telemetry.Failed, `does not contain "steady"`},
		{"method, header, host and body arrive", ProbeHTTP{
			URL: url + "/echo", Method: "POST", Body: "milk",
			Headers: map[string]string{"X-Shop": "corner", "Host": "shop.example"}, BodyContains: "POST shop.example corner milk",
		}, telemetry.OK, ""},
		{"an answer that breaks off", ProbeHTTP{URL: url + "/torn"}, telemetry.Failed, "reading the answer"},
		{"a port nobody listens on", ProbeHTTP{URL: refused(t)}, telemetry.Failed, "connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.probe.Probe(soon(t), telemetry.ProbeCall{})
			if got.Outcome != tc.want || !strings.Contains(got.Message, tc.says) {
				t.Errorf("got %+v, want %s with %q", got, tc.want, tc.says)
			}
		})
	}
}

// An answer that begins and then hangs is as bad as none.
func TestProbeHTTPHangsInBody(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	probe := ProbeHTTP{URL: serving(t).URL + "/stuck"}
	if got := probe.Probe(ctx, telemetry.ProbeCall{}); got.Outcome != telemetry.Failed {
		t.Errorf("got %+v, want failed", got)
	}
}

func TestProbeHTTPConnectsAnew(t *testing.T) {
	server := httptest.NewUnstartedServer(shop())
	var mu sync.Mutex
	connections := 0
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if state == http.StateNew {
			connections++
		}
	}
	server.Start()
	defer server.Close()
	probe := ProbeHTTP{URL: server.URL + "/ready"}
	for range 3 {
		if got := probe.Probe(soon(t), telemetry.ProbeCall{}); got.Outcome != telemetry.OK {
			t.Fatalf("got %+v", got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if connections != 3 {
		t.Errorf("three calls made %d connections, want one each", connections)
	}
}

func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready") })
	mux.HandleFunc("/made", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "ledger is away", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ready", http.StatusFound) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) //nolint:errcheck // a body that broke off is then not echoed, which the test sees
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.Header.Get("X-Shop"), body)
	})
	mux.HandleFunc("/torn", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
	})
	mux.HandleFunc("/stuck", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "half")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	return mux
}

func serving(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(shop())
	t.Cleanup(server.Close)
	return server
}

// hanging is the URL of a server that takes connections and never answers.
func hanging(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return "http://" + listener.Addr().String() + "/"
}

func refused(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return "http://" + listener.Addr().String() + "/"
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
