package http

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/telemetry"
)

func TestProbeTransaction(t *testing.T) {
	one := func(url string) *ProbeTransaction {
		return &ProbeTransaction{Steps: []Step{{Name: "look", URL: url}}}
	}
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return order(till(t)), telemetry.ProbeCall{}
		},
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return one(till(t) + "/nowhere"), telemetry.ProbeCall{}
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return one(hanging(t)), telemetry.ProbeCall{}
		},
		Wrong: map[string]telemetry.Probe{
			"no steps": &ProbeTransaction{},
			"no name":  &ProbeTransaction{Steps: []Step{{URL: "http://127.0.0.1/"}}},
			"two of one name": &ProbeTransaction{Steps: []Step{
				{Name: "a", URL: "http://127.0.0.1/"}, {Name: "a", URL: "http://127.0.0.1/"},
			}},
			"no URL":               one(""),
			"a variable too early": one("http://127.0.0.1/${id}"),
			"a variable of the step itself": &ProbeTransaction{Steps: []Step{
				{Name: "a", URL: "http://127.0.0.1/", Body: "${id}", Save: map[string]string{"id": "/id"}},
			}},
			"bad pattern":  &ProbeTransaction{Steps: []Step{{Name: "a", URL: "http://127.0.0.1/", Save: map[string]string{"id": "("}}}},
			"bad variable": &ProbeTransaction{Steps: []Step{{Name: "a", URL: "http://127.0.0.1/", Save: map[string]string{"i d": "/id"}}}},
			"empty save":   &ProbeTransaction{Steps: []Step{{Name: "a", URL: "http://127.0.0.1/", Save: map[string]string{"id": ""}}}},
		},
	})
}

// order logs in (a cookie), orders (a number in JSON and a token in text), and looks the order up by both.
func order(url string) *ProbeTransaction {
	return &ProbeTransaction{Steps: []Step{
		{Name: "login", Method: "POST", URL: url + "/login"},
		{Name: "order", Method: "POST", URL: url + "/orders", Body: `{"milk":1}`, ExpectStatus: []int{201}, Save: map[string]string{
			"id": "/orders/0/id", "token": `token=(\w+)`,
		}},
		{Name: "look", URL: url + "/orders/${id}", Headers: map[string]string{"X-Token": "${token}"}, BodyContains: "order ${id}"},
	}}
}

func TestProbeTransactionNamesTheStep(t *testing.T) {
	url := till(t)
	for _, tc := range []struct {
		name   string
		change func(*ProbeTransaction)
		says   []string
	}{
		{"nothing", func(*ProbeTransaction) {}, nil},
		{"without the cookie", func(p *ProbeTransaction) { p.Steps = p.Steps[1:] }, []string{"step order (1 of 2)", "POST", "/orders", "status 401"}},
		{"without the token", func(p *ProbeTransaction) { p.Steps[2].Headers = nil }, []string{"step look (3 of 3)", "/orders/1234567890123456789", "status 403"}},
		{"a pointer to nothing", func(p *ProbeTransaction) { p.Steps[1].Save["id"] = "/orders/1/id" }, []string{"step order (2 of 3)", "save id", "nothing at /orders/1/id"}},
		{"a pointer to a list", func(p *ProbeTransaction) { p.Steps[1].Save["id"] = "/orders" }, []string{"step order", "no text, number or truth value"}},
		{"a pattern without a match", func(p *ProbeTransaction) { p.Steps[1].Save["token"] = "ticket=.*" }, []string{"step order", "no match for ticket"}},
		{"a body that is not JSON", func(p *ProbeTransaction) { p.Steps[0].Save = map[string]string{"id": "/id"} }, []string{"step login (1 of 3)", "not JSON"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			probe := order(url)
			tc.change(probe)
			got := probe.Probe(soon(t), telemetry.ProbeCall{})
			if tc.says == nil && got.Outcome == telemetry.OK {
				return
			}
			if tc.says == nil || got.Outcome != telemetry.Failed {
				t.Fatalf("got %+v, want failed with %q", got, tc.says)
			}
			for _, part := range tc.says {
				if !strings.Contains(got.Message, part) {
					t.Errorf("the message %q does not say %q", got.Message, part)
				}
			}
		})
	}
}

func TestPointed(t *testing.T) {
	const body = `{"a/b":{"m~n":"escaped"},"list":[1,{"deep":true}],"big":1234567890123456789,"":"empty","null":null}`
	for pointer, want := range map[string]string{
		"/a~1b/m~0n": "escaped", "/list/0": "1", "/list/1/deep": "true", "/big": "1234567890123456789", "/": "empty",
	} {
		if got, err := pointed([]byte(body), pointer); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", pointer, got, err, want)
		}
	}
	for _, pointer := range []string{"/list/2", "/list/-1", "/list/x", "/null", "/big/0", "/list"} {
		if got, err := pointed([]byte(body), pointer); err == nil {
			t.Errorf("%s: %q, want an error", pointer, got)
		}
	}
}

// till is the URL of a shop that wants a cookie for an order, and the order's token for a look at it.
func till(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1", Path: "/"})
		fmt.Fprint(w, "welcome")
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("session"); err != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"orders":[{"id":1234567890123456789}],"note":"token=abc123 is yours"}`)
	})
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != "abc123" {
			http.Error(w, "not yours", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "order %s: milk", r.PathValue("id"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
