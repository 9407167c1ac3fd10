package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jenner-heal/jenner"
)

// wrongIndex is a number that is no index of a list, RFC 6901, section 4.
var wrongIndex = regexp.MustCompile(`^([+-]\d+|0\d+)$`)

// FuzzPick: what is taken out of any body stands in it: a part that the expression matches, or what the pointer names.
func FuzzPick(f *testing.F) {
	bodies := []string{``, `{"a":{"b":[1,2.50,"x",true,null,{}]},"":0,"a/b":1,"m~n":2,"01":3,"a":7}`, `[12345678901234567890, -0.0, 1e400]`, "\xff{", `"x"`, `{"a":1} {"a":2}`, `NaN`,
		strings.Repeat("[", 20000), strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), "id=77; id=78", strings.Repeat("a", 5000)}
	for i, what := range []string{"/", "/a/b/0", "/a/b/1", "/a/b/-1", "/a/b/+1", "/a/b/01", "/a/b/99999999999999999999", "/a~1b", "/m~0n", "/m~01n", "/a/b/5", "/0", "/~", "/\xff",
		`id=(\d+)`, `(id)|(x)`, `()`, ``, `(a*)*b`, `(`, `a{1000}`, `(?s).*`, `(zz)?id`} {
		f.Add([]byte(bodies[i%len(bodies)]), what)
		f.Add([]byte(bodies[1]), what)
		f.Add([]byte(bodies[9]), what)
	}
	for _, index := range []string{"0", "+1", "01", "-0", "3"} {
		f.Add([]byte(`{"l":[1,2,3]}`), "/l/"+index)
	}
	f.Fuzz(func(t *testing.T, body []byte, what string) {
		if len(what) > 1000 {
			return
		}
		value, err := pick(body, what)
		if err != nil {
			if value != "" {
				t.Errorf("%v, and yet %q", err, value)
			}
			return
		}
		if !strings.HasPrefix(what, "/") {
			if regexp.MustCompile(what).Find(body) == nil || !bytes.Contains(body, []byte(value)) {
				t.Errorf("%s takes %q out of %q", what, value, body)
			}
			return
		}
		for token := range strings.SplitSeq(what[1:], "/") {
			key := strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
			if wrongIndex.MatchString(token) && !keysOf(body)[key] {
				t.Errorf("%q is no index, and %s takes %q out of %q", token, what, value, body)
			}
		}
		if !utf8.ValidString(value) || len(value) > 3*len(body) {
			t.Errorf("%s takes %q out of %q", what, value, body)
		}
	})
}

// keysOf are all keys of all objects of a body.
func keysOf(body []byte) map[string]bool {
	keys := map[string]bool{}
	var whole any
	_ = json.NewDecoder(bytes.NewReader(body)).Decode(&whole) // it was read once already
	var walk func(value any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, inner := range value {
				keys[key] = true
				walk(inner)
			}
		case []any:
			for _, inner := range value {
				walk(inner)
			}
		}
	}
	walk(whole)
	return keys
}

var errDialled = errors.New("as far as the network")

// FuzzTransaction: steps that are found to be right can be sent: the only thing that fails is the network. Whatever an
// earlier step saved is put in where it was asked for and nowhere else.
func FuzzTransaction(f *testing.F) {
	for _, saved := range []string{"7", "", "\r\nX: y", "${id}", "\xff", "http://other.example/", "/../x", "%zz", "a b", strings.Repeat("x", 5000)} {
		f.Add("GET", "http://shop.example/${id}", "X-Id", "${id}", "id", saved)
		f.Add("", "${id}", "Host", "a", "id", saved)
	}
	for _, page := range []string{"", "http://", "http://[::1%25lo]/", "http://[::1]:99999/", "http://a:b/", "http://\x7f/", "http://a b/", "ftp://a/", "http://a/%zz", "http://u:p@a/", "http://${id}/", "http://a:${id}/", "http://a\u00e9/", "//a"} {
		f.Add("POST", page, "X-A", "b", "id", "1")
	}
	for _, name := range []string{"", "X A", "X\n", "Host", "Content-Length", "Transfer-Encoding", "\xff", "Trailer"} {
		f.Add("GET", "http://a/", name, "1", "id", "1")
	}
	for _, value := range []string{"\x01", "\x7f", "a\tb", "\xff", " ", "a\x00"} {
		f.Add("GET", "http://a/", "X-A", value, "id", "1")
	}
	for _, name := range []string{"a}${b", "1", "", "a b", "é", "_", "x ${a"} {
		f.Add("GET", "http://a/", "X-A", "b", name, "1")
	}
	f.Add("CONNECT", "http://a/", "X-A", "b", "id", "1")
	f.Add("G T", "http://a/", "X-A", "b", "id", "1")
	plain := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	f.Fuzz(func(t *testing.T, method, page, header, value, name, saved string) {
		first := Step{Name: "one", URL: "http://a/", Save: map[string]string{name: "x"}}
		second := Step{Name: "two", Method: method, URL: page, Headers: map[string]string{header: value}}
		probe := &ProbeTransaction{Steps: []Step{first, second}}
		if probe.Validate() != nil {
			return
		}
		if !plain.MatchString(name) {
			t.Fatalf("%q is taken for a variable's name", name)
		}
		filled, err := second.exchange(map[string]string{name: saved})
		if err != nil {
			t.Fatalf("found to be right, and cannot be filled in: %v", err)
		}
		if mark := "${" + name + "}"; !strings.Contains(page, mark) && filled.url != page || strings.Contains(page, mark) && len(mark) > len(saved) && len(filled.url) >= len(page) {
			t.Errorf("%q with %s = %q is %q", page, name, saved, filled.url)
		}
		if strings.Contains(page+value, "${") {
			return // what the answer of a service may hold is checked when it is there
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errDialled }}}
		if _, err := filled.do(t.Context(), client); !errors.Is(err, errDialled) {
			t.Errorf("%q %q with %q: %q was found to be right, and cannot be sent: %v", method, page, header, value, err)
		}
	})
}

// FuzzControl: any bytes put as a fault are refused and change nothing, or are a fault that is within its bounds, ends
// by its lease, is given back as it is, and can be taken away by its name.
func FuzzControl(f *testing.F) {
	const lease = `"until":"2026-03-04T06:00:00Z"`
	for _, raw := range []string{``, `null`, `{}`, `[]`, `{"id":"f","kind":"latency","delay":"400ms","share":"100%",` + lease + `}`, `{"id":"f","kind":"error","status":503,"share":"15%",` + lease + `}`,
		`{"id":"f","kind":"error","status":503,"share":"NaN%",` + lease + `}`, `{"id":"f","kind":"error","status":503,"share":"NaN",` + lease + `}`, `{"id":"f","kind":"error","status":503,"share":"-1",` + lease + `}`,
		`{"id":"f","kind":"error","status":503,"share":"1e-400",` + lease + `}`, `{"id":"f","kind":"latency","delay":"400ms","jitter":"-1s","share":"100%",` + lease + `}`,
		`{"id":"f","kind":"latency","delay":"106751d","jitter":"106751d","share":"100%",` + lease + `}`, `{"id":"..","kind":"error","status":503,"share":"100%",` + lease + `}`,
		`{"id":"a/b?c#d%2F","kind":"error","status":503,"share":"100%",` + lease + `}`, `{"id":"kept","kind":"error","status":404,"share":"100%",` + lease + `}`, `{"id":"f","kind":"error","status":503,"share":"100%","until":"2020-01-01T00:00:00Z"}`,
		`{"id":"f","kind":"error","status":503,"share":"100%","until":"9999-12-31T23:59:59Z"}`, `{"id":"f","kind":"error","status":503,"share":"100%",` + lease + `} x`, `{"id":"f","id":"g","kind":"error","status":503,"share":"100%",` + lease + `}`,
		`{"id":"f","kind":"abort","after":10,"share":"100%",` + lease + `}`, `{"id":"f","kind":"abort","after":-1,"share":"100%",` + lease + `}`, `{"id":"f","kind":"bandwidth","rate":1,"share":"100%",` + lease + `}`,
		`{"id":"f","kind":"body","body":{"truncate":"10%"},"share":"100%",` + lease + `}`, `{"id":"f","kind":"body","body":{"match":"a(b)","replace":"$1"},"share":"100%",` + lease + `}`, `{"id":"f","kind":"body","body":{"match":"(","replace":"$1"},"share":"100%",` + lease + `}`,
		`{"id":"f","kind":"body","body":{"field":"/a/0","value":{"b" : [1e400, "<\u2028", null]}},"share":"100%",` + lease + `}`, `{"id":"f","kind":"body","body":{"field":"/a","value":null},"share":"100%",` + lease + `}`,
		`{"id":"f","kind":"body","body":{"garble":"NaN"},"share":"100%",` + lease + `}`, `{"id":"f","kind":"body","body":null,"share":"100%",` + lease + `}`,
		`{"id":"f","kind":"error","status":503,"share":"100%",` + lease + `,"x":1}`, "{\"id\":\"\xff\",\"kind\":\"error\",\"status\":503,\"share\":1," + lease + "}", `{"id":"/","kind":"error","status":503,"share":"100%",` + lease + `}`,
		`{"id":"\u0000","kind":"error","status":503,"share":"100%",` + lease + `}`, `{"id":"` + strings.Repeat("x", 5000) + `","kind":"error","status":599,"share":"100%",` + lease + `}`, strings.Repeat("[", 20000)} {
		f.Add([]byte(raw), 0.5)
	}
	f.Fuzz(func(t *testing.T, raw []byte, chance float64) {
		now := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
		faults := newFaultList(func() time.Time { return now })
		kept := proxyFault{ID: "kept", Kind: kindError, Status: 500, Share: 1, Until: now.Add(time.Hour)}
		if err := faults.put(kept); err != nil {
			t.Fatal(err)
		}
		status := control(faults, http.MethodPut, "/fault", raw)
		holding := faults.holding()
		if status != http.StatusNoContent {
			if diff := cmp.Diff([]proxyFault{kept}, holding); diff != "" || status != http.StatusBadRequest {
				t.Fatalf("refused with %d, and yet: %s", status, diff)
			}
			return
		}
		var given proxyFault
		if err := json.Unmarshal(raw, &given); err != nil {
			t.Fatalf("%q is taken for a fault: %v", raw, err)
		}
		var found *proxyFault
		for i := range holding {
			if holding[i].ID == given.ID {
				found = &holding[i]
			}
		}
		if found == nil || cmp.Diff(given, *found) != "" {
			t.Fatalf("put %+v, holding %+v", given, holding)
		}
		inBounds(t, *found, chance)
		var again proxyFault
		digits := cmpopts.EquateApprox(1e-11, 0) // a share is written with 12 of them
		if err := json.Unmarshal(jenner.Raw(*found), &again); err != nil || cmp.Diff(*found, again, digits) != "" {
			t.Errorf("it is given as %s and read as %+v (%v)", jenner.Raw(*found), again, err)
		}
		if status := control(faults, http.MethodDelete, "/fault/"+url.PathEscape(given.ID), nil); status != http.StatusNoContent {
			t.Errorf("%q cannot be taken away: %d", given.ID, status)
		}
	})
}

func inBounds(t *testing.T, fault proxyFault, chance float64) {
	t.Helper()
	if !(fault.Share > 0 && fault.Share <= 1) || fault.Delay < 0 || fault.Jitter < 0 || fault.Until.IsZero() || fault.Status != 0 && (fault.Status < 400 || fault.Status > 599) {
		t.Errorf("out of bounds: %+v", fault)
	}
	if !(chance >= 0 && chance < 1) {
		return
	}
	delay, jitter := fault.Delay.Std(), fault.Jitter.Std()
	if wait := jittered(delay, jitter, chance); wait < max(0, delay-jitter)-time.Second || wait < 0 || jitter < 1<<50 && delay < 1<<50 && wait > delay+jitter {
		t.Errorf("%s ± %s is %s", delay, jitter, wait)
	}
}

// control asks the control endpoint as a program on this machine does.
func control(faults *faultList, method, path string, body []byte) int {
	request := httptest.NewRequest(method, path, bytes.NewReader(body))
	request.RemoteAddr = "127.0.0.1:1"
	answer := httptest.NewRecorder()
	controlHandler(faults).ServeHTTP(answer, request)
	return answer.Code
}
