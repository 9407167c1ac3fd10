package http

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	nethttp "net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

var bodyWorld = atTheProxy(func() chaos.Fault { return &FaultBody{Garble: 0.1, Share: 1} }, "http.body", jenner.Params{"garble": jenner.Raw("10%")})

func TestBodyConforms(t *testing.T) { faulttest.Run(t, bodyWorld) }

func TestL21BodyEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, bodyWorld) }

const receipt = `{"id": 12345678901234567890, "lines": [{"total": 7.50}, {"total": 2}], "note": "a<b"}`

// ordering is a service that answers with that body.
func ordering(t testing.TB, body string) *proxyWorld {
	return behindService(t, func(out nethttp.ResponseWriter, in *nethttp.Request) {
		out.Header().Set("Content-Length", strconv.Itoa(len(body)))
		out.WriteHeader(nethttp.StatusCreated)
		if in.Method != nethttp.MethodHead {
			io.WriteString(out, body)
		}
	})
}

func TestBodyIsChangedAndItsLengthIsRight(t *testing.T) {
	for name, c := range map[string]struct {
		change bodyChange
		want   string
	}{
		"cut off":         {bodyChange{Truncate: 0.5}, receipt[:len(receipt)-len(receipt)/2]},
		"cut off wholly":  {bodyChange{Truncate: 1}, ""},
		"a match":         {bodyChange{Match: `"total": (\d)`, Replace: `"sum": 1$1`}, strings.NewReplacer(`"total": 7`, `"sum": 17`, `"total": 2`, `"sum": 12`).Replace(receipt)},
		"a match removed": {bodyChange{Match: `, "note".*"`}, `{"id": 12345678901234567890, "lines": [{"total": 7.50}, {"total": 2}]}`},
		"a field":         {bodyChange{Field: "/lines/1/total", Value: document(`"none"`)}, `{"id":12345678901234567890,"lines":[{"total":7.50},{"total":"none"}],"note":"a<b"}`},
		"an element":      {bodyChange{Field: "/lines/0", Value: document(`null`)}, `{"id":12345678901234567890,"lines":[null,{"total":2}],"note":"a<b"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := ordering(t, receipt)
			broken(t, w, proxyFault{Kind: kindBody, Body: &c.change})
			response, err := fresh.Get(w.front)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || string(body) != c.want || response.StatusCode != nethttp.StatusCreated || response.ContentLength != int64(len(c.want)) {
				t.Errorf("answer %d of length %d, %v:\n%s\nwant\n%s", response.StatusCode, response.ContentLength, err, body, c.want)
			}
			if stats := statsOf(t, w); stats.Changed != 1 {
				t.Errorf("the counters are %+v", stats)
			}
		})
	}
}

// TestL22ABodyWithNothingToChangeIsNoBite: it comes as it is.
func TestL22ABodyWithNothingToChangeIsNoBite(t *testing.T) {
	for name, change := range map[string]bodyChange{
		"no match":    {Match: "price", Replace: "x"},
		"no field":    {Field: "/lines/7/total", Value: document("1")},
		"no document": {Field: "/lines/x/y", Value: document("1")},
	} {
		t.Run(name, func(t *testing.T) {
			w := ordering(t, receipt)
			broken(t, w, proxyFault{Kind: kindBody, Body: &change})
			response, err := fresh.Get(w.front)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != receipt {
				t.Errorf("the answer is %q, %v", body, err)
			}
			witness, err := (&FaultBody{}).Bite(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: w.target()}})
			if err != nil || witness.Bit || witness.Saw != "0 of 1 answers got another body" {
				t.Errorf("the witness saw %+v, %v", witness, err)
			}
		})
	}
}

// TestBodyOfHEADAndOfNothing: there is none to change, and the length that HEAD tells is that of the service.
func TestBodyOfHEADAndOfNothing(t *testing.T) {
	w := ordering(t, receipt)
	broken(t, w, proxyFault{Kind: kindBody, Body: &bodyChange{Truncate: 1}})
	response, err := fresh.Head(w.front)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.ContentLength != int64(len(receipt)) {
		t.Errorf("HEAD tells the length %d, want %d", response.ContentLength, len(receipt))
	}
	empty := behindService(t, func(out nethttp.ResponseWriter, _ *nethttp.Request) { out.WriteHeader(nethttp.StatusNoContent) })
	broken(t, empty, proxyFault{Kind: kindBody, Body: &bodyChange{Garble: 1}})
	if response, err = fresh.Get(empty.front); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != nethttp.StatusNoContent {
		t.Errorf("answer %d", response.StatusCode)
	}
}

// TestBodyIsNotPacked: a service that packs bodies for those who take it is asked not to.
func TestBodyIsNotPacked(t *testing.T) {
	w := behindService(t, func(out nethttp.ResponseWriter, in *nethttp.Request) {
		if !strings.Contains(in.Header.Get("Accept-Encoding"), "gzip") {
			io.WriteString(out, receipt)
			return
		}
		out.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(out)
		io.WriteString(packed, receipt)
		packed.Close()
	})
	broken(t, w, proxyFault{Kind: kindBody, Body: &bodyChange{Match: "note", Replace: "nota"}})
	response, err := fresh.Get(w.front) // this client asks for gzip by itself
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), `"nota"`) {
		t.Errorf("the answer is %q, %v", body, err)
	}
}

// TestALongBodyIsLeft: nobody keeps it in memory, and nobody counts it.
func TestALongBodyIsLeft(t *testing.T) {
	part := bytes.Repeat([]byte("x"), 1<<20)
	w := behindService(t, func(out nethttp.ResponseWriter, _ *nethttp.Request) {
		for range maxChanged/len(part) + 3 {
			out.Write(part)
		}
	})
	broken(t, w, proxyFault{Kind: kindBody, Body: &bodyChange{Match: "x", Replace: "y"}})
	response, err := fresh.Get(w.front)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) != maxChanged+3<<20 || bytes.Contains(body, []byte("y")) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if stats := statsOf(t, w); stats.Changed != 0 || stats.Affected != 1 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestAnAnswerThatBreaksOffIsNotMadeWhole: the service breaks off, and so does the proxy.
func TestAnAnswerThatBreaksOffIsNotMadeWhole(t *testing.T) {
	w := behindService(t, func(out nethttp.ResponseWriter, _ *nethttp.Request) {
		out.Header().Set("Content-Length", "100")
		io.WriteString(out, "half of it")
	})
	broken(t, w, proxyFault{Kind: kindBody, Body: &bodyChange{Match: "half", Replace: "all"}})
	response, err := fresh.Get(w.front)
	if err == nil {
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		t.Errorf("the caller gets %d %q", response.StatusCode, body)
	}
}

// TestSeveralChangesAtOnce: bodies in the order of their ids, then the line, then the cut.
func TestSeveralChangesAtOnce(t *testing.T) {
	w := ordering(t, "one two three")
	broken(t, w, proxyFault{ID: "b", Kind: kindBody, Body: &bodyChange{Match: "2", Replace: "zwei"}})
	broken(t, w, proxyFault{ID: "a", Kind: kindBody, Body: &bodyChange{Match: "two", Replace: "2"}})
	broken(t, w, proxyFault{ID: "c", Kind: kindAbort, After: 8})
	broken(t, w, proxyFault{ID: "d", Kind: kindBandwidth, Rate: 1 << 20})
	response, err := fresh.Get(w.front)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if string(body) != "one zwei" || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the caller gets %q, %v", body, err)
	}
}

func TestBodyChangeIsChecked(t *testing.T) {
	for part, change := range map[string]*bodyChange{
		"one of":            {},
		"one of truncate":   {Truncate: 0.1, Garble: 0.1},
		"match: error":      {Match: "("},
		"replace needs":     {Garble: 0.1, Replace: "x"},
		"belong together":   {Field: "/a"},
		"together":          {Garble: 0.1, Value: document("1")},
		"no JSON pointer":   {Field: "a", Value: document("1")},
		"outside of 0%":     {Garble: 2},
		"outside of 0% to ": {Truncate: -1},
	} {
		wantError(t, change.validate(), part)
	}
	fault := &FaultBody{Share: 1}
	wantError(t, fault.Validate(), "one of")
}

// FuzzBodyChange: whatever is changed in whatever body, it is what the change says, and the body that came stays whole.
func FuzzBodyChange(f *testing.F) {
	for _, body := range []string{"", "x", receipt, "[1,[2,3]]", "\xff\x00", `"x"`, "{} {}", strings.Repeat("ab", 1000)} {
		f.Add([]byte(body), 0.1, "b+", "$0$0", "/lines/0/total", "7")
		f.Add([]byte(body), 1.0, "", "${1}", "/1/0", `{"a":[1e400]}`)
		f.Add([]byte(body), 1e-9, "(a)|(b)", "$1$2", "/", `"\ud800"`)
		f.Add([]byte(body), 0.5, ".", "", "/id", "1e400")
	}
	f.Fuzz(func(t *testing.T, body []byte, share float64, match, replace, field, value string) {
		was := bytes.Clone(body)
		part := jenner.Share(share)
		for _, change := range []*bodyChange{{Truncate: part}, {Garble: part}, {Match: match, Replace: replace}, {Field: field, Value: document(value)}} {
			if change.validate() != nil || change.Field != "" && !json.Valid(change.Value) {
				continue
			}
			changed := change.apply(body)
			if !bytes.Equal(body, was) {
				t.Fatalf("%+v changed the body that came to %q", change, body)
			}
			switch {
			case len(body) == 0:
				if len(changed) != 0 {
					t.Errorf("nothing became %q", changed)
				}
			case change.Truncate != 0:
				if len(changed) >= len(body) || !bytes.HasPrefix(body, changed) {
					t.Errorf("%q was cut to %q", body, changed)
				}
			case change.Garble != 0:
				if differ := differing(body, changed); differ < 1 || float64(differ) > share*float64(len(body))+1 {
					t.Errorf("%g of %d bytes are %d others", share, len(body), differ)
				}
			case change.Match != "":
				if !bytes.Equal(body, changed) && !regexp.MustCompile(match).Match(body) {
					t.Errorf("nothing matches, and %q became %q", body, changed)
				}
			case !bytes.Equal(body, changed) && !json.Valid(changed):
				t.Errorf("%q became %q, which is no JSON", body, changed)
			}
		}
	})
}

func differing(a, b []byte) (count int) {
	if len(a) != len(b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			count++
		}
	}
	return count
}

func TestGarbledBytesAreSpread(t *testing.T) {
	body := bytes.Repeat([]byte("a"), 1000)
	for _, share := range []jenner.Share{0.001, 0.25, 1} {
		changed := (&bodyChange{Garble: share}).apply(body)
		if got, want := differing(body, changed), int(float64(share)*1000); got != want {
			t.Errorf("%g: %d bytes differ, want %d", float64(share), got, want)
		}
		if share == 0.25 && differing(body[500:], changed[500:]) != 125 {
			t.Error("they are not spread over the whole body")
		}
	}
	first, second := (&bodyChange{Garble: 0.5}).apply(body), (&bodyChange{Garble: 0.5}).apply(body)
	if !bytes.Equal(first, second) {
		t.Error("two times are not the same")
	}
}
