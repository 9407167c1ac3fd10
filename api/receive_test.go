package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// taker remembers what it was told.
type taker struct {
	mu     sync.Mutex
	sent   []jenner.SentAlert
	whole  []bool
	counts map[string]int
}

func (t *taker) Take(_ jenner.Receiver, sent []jenner.SentAlert, whole bool) map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent, t.whole = append(t.sent, sent...), append(t.whole, whole)
	return map[string]int{"fires": len(sent)}
}

func (t *taker) Count(_, result string, alerts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[result] += alerts
}

// reading says how testdata/webhook.json is read.
var reading = &jenner.WebhookRead{Alerts: "body.checks", Name: "alert.name", Status: `alert.state == "DOWN" ? "firing" : "resolved"`,
	StartsAt: "alert.since", EndsAt: `alert.?until`, Summary: "alert.text", Labels: "alert.where", Severity: `alert.prio == 1 ? "page" : "ticket"`,
	Service: "alert.where.app", Key: "string(int(alert.id))"}

type gate struct {
	*httptest.Server
	*taker
	receive   *Receive
	receivers []jenner.Receiver
	dir       string
}

const word = "a-secret-of-these-tests"

// newGate serves receivers whose token is in the file `token`.
func newGate(t *testing.T, receivers ...jenner.Receiver) *gate {
	t.Helper()
	g := &gate{taker: &taker{counts: map[string]int{}}, receivers: receivers, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(g.dir, "token"), []byte(word+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range g.receivers {
		g.receivers[i].Dir = g.dir
	}
	g.receive = &Receive{Receivers: func() []jenner.Receiver { return g.receivers }, Taker: g.taker, Now: func() time.Time { return now },
		Firing: func() []jenner.Alert {
			return []jenner.Alert{{Name: "Down", Service: "shop", Labels: map[string]string{"pod": "a"}, StartsAt: now, SeenAt: now, Summary: "it is down"}}
		},
		Status: func() any { return map[string]string{"it": "is well"} }, Logger: slog.New(slog.DiscardHandler)}
	g.Server = httptest.NewServer(Handler(http.NotFoundHandler(), nil, g.receive))
	t.Cleanup(g.Server.Close)
	return g
}

func withToken(name string, from jenner.ReceiverFrom) jenner.Receiver {
	return jenner.Receiver{Name: name, From: from, Token: &jenner.Secret{File: "token"}, Read: reading}
}

// ask sends a request and gives the status and the answer.
func (g *gate) ask(t *testing.T, method, path, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var said strings.Builder
	if _, err := fmt.Fprint(&said, read(t, response)); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, said.String(), response.Header
}

func read(t *testing.T, response *http.Response) string {
	t.Helper()
	var text json.RawMessage
	if response.Header.Get("Content-Type") != "application/json" {
		return ""
	}
	if err := json.NewDecoder(response.Body).Decode(&text); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func testdata(t testing.TB, form jenner.ReceiverFrom) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + string(form) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const bearer = "Bearer " + word

func at(clock string) time.Time {
	parsed, err := time.Parse(time.RFC3339, "2026-03-01T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return parsed
}

func TestBodiesAreReadAsTheyAreSent(t *testing.T) {
	broken := map[string]string{"alertname": "ShopBroken", "namespace": "shop", "severity": "critical"}
	summary := map[string]string{"summary": "it is broken"}
	group := `{}:{alertname="ShopBroken"}`
	for form, want := range map[jenner.ReceiverFrom]struct {
		sent  []jenner.SentAlert
		whole bool
	}{
		jenner.FromAlertmanager: {[]jenner.SentAlert{
			{Labels: broken, Annotations: summary, Status: jenner.Firing, StartsAt: at("11:59:00.123"), Group: group},
			{Labels: map[string]string{"alertname": "ShopBroken", "namespace": "shop", "severity": "critical", "pod": "b"},
				Annotations: map[string]string{}, Status: jenner.Resolved, StartsAt: at("11:50:00"), EndsAt: at("11:58:00"), Group: group},
		}, true},
		jenner.FromPrometheus: {[]jenner.SentAlert{
			{Labels: map[string]string{"alertname": "ShopBroken", "namespace": "shop"}, Annotations: summary, Status: jenner.Firing,
				StartsAt: at("11:59:14.9"), Until: at("12:03:59.9")},
			{Labels: map[string]string{"alertname": "ShopBroken", "namespace": "shop", "pod": "b"}, Annotations: map[string]string{},
				Status: jenner.Resolved, StartsAt: at("11:40:14.9"), EndsAt: at("11:59:59.9")},
		}, false},
		jenner.FromGrafana: {[]jenner.SentAlert{
			{Labels: map[string]string{"alertname": "High CPU usage", "grafana_folder": "shop", "service": "shop"},
				Annotations: map[string]string{"summary": "the CPU is hot"}, Status: jenner.Firing, StartsAt: at("11:56:03.157076"),
				Group: `{}/{}:{alertname="High CPU usage"}`},
			{Labels: map[string]string{"alertname": "DatasourceNoData", "rulename": "High CPU usage", "datasource_uid": "P1", "service": "shop"},
				Annotations: map[string]string{}, Status: jenner.Firing, StartsAt: at("11:56:03"), Group: `{}/{}:{alertname="High CPU usage"}`, NoData: true},
			{Labels: map[string]string{"alertname": "Slow", "service": "shop"}, Annotations: map[string]string{"grafana_state_reason": "NoData"},
				Status: jenner.Firing, StartsAt: at("11:56:03"), Group: `{}/{}:{alertname="High CPU usage"}`, NoData: true},
		}, true},
		jenner.FromWebhook: {[]jenner.SentAlert{
			{Labels: map[string]string{"alertname": "front page", "app": "shop", "region": "eu", "severity": "page"},
				Annotations: map[string]string{"summary": "no answer"}, Status: jenner.Firing, StartsAt: at("11:58:00"), Service: "shop", Key: "7"},
			{Labels: map[string]string{"alertname": "front page", "app": "bank", "region": "eu", "severity": "ticket"},
				Annotations: map[string]string{"summary": ""}, Status: jenner.Resolved, StartsAt: at("11:40:00"), EndsAt: at("11:59:00"),
				Service: "bank", Key: "8"},
		}, false},
	} {
		t.Run(string(form), func(t *testing.T) {
			g := newGate(t, withToken("one", form))
			path := "/api/alerts/" + string(form)
			if form == jenner.FromPrometheus {
				path = "/api/v2/alerts"
			}
			if status, said, _ := g.ask(t, "POST", path, testdata(t, form), "Authorization", bearer); status != http.StatusOK {
				t.Fatalf("it answered %d: %s", status, said)
			}
			if diff := cmp.Diff(want.sent, g.sent, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
				t.Errorf("it was read otherwise (-want +got):\n%s", diff)
			}
			if len(g.whole) != 1 || g.whole[0] != want.whole {
				t.Errorf("whole is %v, want %v", g.whole, want.whole)
			}
			if status, _, _ := g.ask(t, "POST", strings.Replace(path, "/api/v2", "/api/alerts/prometheus/one/api/v2", 1), testdata(t, form), "Authorization", bearer); status != http.StatusOK {
				t.Errorf("at its full address it answered %d", status)
			}
		})
	}
}

func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// TestWhoMaySend: everybody else is refused, told what to do, and nothing of theirs is taken.
func TestWhoMaySend(t *testing.T) {
	key := jenner.Secret{Env: "JENNER_TEST_SECRET"}
	t.Setenv("JENNER_TEST_SECRET", word)
	t.Setenv("JENNER_TEST_SHORT", "short")
	body := testdata(t, jenner.FromWebhook)
	hub := jenner.Receiver{Name: "one", From: jenner.FromWebhook, Read: reading, HMAC: &jenner.HMAC{Secret: key}}
	timed := jenner.Receiver{Name: "one", From: jenner.FromWebhook, Read: reading,
		HMAC: &jenner.HMAC{Secret: key, Header: "X-Signature", TimestampHeader: "X-At"}}
	both := hub
	both.Token = &jenner.Secret{File: "token"}
	local := jenner.Receiver{Name: "one", From: jenner.FromWebhook, Read: reading, Local: true}
	lost, short, nothing := withToken("one", jenner.FromWebhook), withToken("one", jenner.FromWebhook), withToken("one", jenner.FromWebhook)
	lost.Token, short.Token, nothing.Token = &jenner.Secret{File: "lost"}, &jenner.Secret{Env: "JENNER_TEST_SHORT"}, nil
	unix := func(age time.Duration) string { return fmt.Sprint(now.Add(-age).Unix()) }
	for name, test := range map[string]struct {
		receiver jenner.Receiver
		headers  []string
		want     int
		hint     string
	}{
		"the token":                 {withToken("one", jenner.FromWebhook), []string{"Authorization", bearer}, 200, ""},
		"no token":                  {withToken("one", jenner.FromWebhook), nil, 401, "Authorization: Bearer TOKEN"},
		"another token":             {withToken("one", jenner.FromWebhook), []string{"Authorization", bearer + "x"}, 401, "compare the sender's token"},
		"an empty token":            {withToken("one", jenner.FromWebhook), []string{"Authorization", "Bearer  "}, 401, "Authorization: Bearer TOKEN"},
		"a password":                {withToken("one", jenner.FromWebhook), []string{"Authorization", "Basic " + word}, 401, "Authorization: Bearer TOKEN"},
		"a token that is lost":      {lost, []string{"Authorization", bearer}, 503, "on Jenner's machine"},
		"a token that is too short": {short, []string{"Authorization", "Bearer short"}, 503, "on Jenner's machine"},
		"a signature":               {hub, []string{"X-Hub-Signature-256", "sha256=" + sign(word, body)}, 200, ""},
		"no signature":              {hub, nil, 401, "X-Hub-Signature-256: sha256=HEX"},
		"a signature of other text": {hub, []string{"X-Hub-Signature-256", "sha256=" + sign(word, body+" ")}, 401, "compare the sender's secret"},
		"another's signature":       {hub, []string{"X-Hub-Signature-256", "sha256=" + sign("another", body)}, 401, "compare the sender's secret"},
		"no hexadecimal number":     {hub, []string{"X-Hub-Signature-256", "sha256=xx"}, 401, "X-Hub-Signature-256: sha256=HEX"},
		"nothing after the prefix":  {hub, []string{"X-Hub-Signature-256", "sha256="}, 401, "X-Hub-Signature-256: sha256=HEX"},
		"no prefix":                 {hub, []string{"X-Hub-Signature-256", sign(word, body)}, 401, "X-Hub-Signature-256: sha256=HEX"},
		"half a signature":          {hub, []string{"X-Hub-Signature-256", "sha256=" + sign(word, body)[:32]}, 401, "compare the sender's secret"},
		"a signature with its time": {timed, []string{"X-Signature", sign(word, unix(0)+":"+body), "X-At", unix(0)}, 200, ""},
		"a signature that is old":   {timed, []string{"X-Signature", sign(word, unix(time.Hour)+":"+body), "X-At", unix(time.Hour)}, 401, "compare the clocks"},
		"a signature of the future": {timed, []string{"X-Signature", sign(word, unix(-time.Hour)+":"+body), "X-At", unix(-time.Hour)}, 401, "compare the clocks"},
		"another time than signed":  {timed, []string{"X-Signature", sign(word, unix(time.Hour)+":"+body), "X-At", unix(0)}, 401, "compare the sender's secret"},
		"no time":                   {timed, []string{"X-Signature", sign(word, body)}, 401, "the seconds since 1970"},
		"token and signature":       {both, []string{"Authorization", bearer, "X-Hub-Signature-256", "sha256=" + sign(word, body)}, 200, ""},
		"only the signature":        {both, []string{"X-Hub-Signature-256", "sha256=" + sign(word, body)}, 401, "Authorization: Bearer TOKEN"},
		"only the token":            {both, []string{"Authorization", bearer}, 401, "X-Hub-Signature-256: sha256=HEX"},
		"from this machine":         {local, nil, 200, ""},
		"through a proxy":           {local, []string{"X-Forwarded-For", "10.1.2.3"}, 403, "give the receiver a token"},
		"nobody said how":           {nothing, []string{"Authorization", bearer}, 403, "write token, hmac or local"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, test.receiver)
			status, said, _ := g.ask(t, "POST", "/api/alerts/webhook/one", body, test.headers...)
			if status != test.want || !strings.Contains(said, test.hint) {
				t.Errorf("it answered %d %s, want %d and %q", status, said, test.want, test.hint)
			}
			if taken := len(g.sent) > 0; taken != (test.want == 200) {
				t.Errorf("%d alerts were taken", len(g.sent))
			}
			if strings.Contains(said, word) || strings.Contains(said, g.dir) {
				t.Errorf("the answer gives away the secret, or where it is: %s", said)
			}
		})
	}
}

// TestMistakesTeach: each is told as JSON, with what to do.
func TestMistakesTeach(t *testing.T) {
	small := withToken("small", jenner.FromAlertmanager)
	small.MaxBody = 100
	g := newGate(t, withToken("am", jenner.FromAlertmanager), small, withToken("hook", jenner.FromWebhook), withToken("prom", jenner.FromPrometheus))
	am := testdata(t, jenner.FromAlertmanager)
	for name, test := range map[string]struct {
		path, body string
		headers    []string
		want       int
		says       string
	}{
		"a form that nobody takes": {"/api/alerts/grafana", "{}", nil, 404, "write a document: {kind: receiver, name: ..., from: grafana"},
		"a name that is not there": {"/api/alerts/webhook/other", "{}", nil, 404, "write a document: {kind: receiver, name: other, from: webhook"},
		"one of two":               {"/api/alerts/alertmanager", am, nil, 404, "add the receiver's name"},
		"not JSON by its header":   {"/api/alerts/alertmanager/am", am, []string{"Content-Type", "text/plain"}, 415, "Content-Type: application/json"},
		"packed":                   {"/api/alerts/alertmanager/am", am, []string{"Content-Encoding", "gzip"}, 415, "send it plain"},
		"too large":                {"/api/alerts/alertmanager/small", am, nil, 413, "raise max_body"},
		"not JSON":                 {"/api/alerts/alertmanager/am", "alerts", nil, 400, "at byte 1: invalid character"},
		"half of it":               {"/api/alerts/alertmanager/am", am[:200], nil, 400, "unexpected end of JSON"},
		"another form":             {"/api/alerts/alertmanager/am", testdata(t, jenner.FromPrometheus), nil, 400, "Alertmanager sends to a webhook_config"},
		"another version":          {"/api/alerts/alertmanager/am", strings.Replace(am, `"version":"4"`, `"version":"5"`, 1), nil, 400, "its version is \\\"5\\\""},
		"no alerts":                {"/api/alerts/alertmanager/am", `{"version":"4"}`, nil, 400, "no list `alerts`"},
		"a time that is none":      {"/api/v2/alerts", `[{"labels":{"alertname":"x"},"startsAt":"yesterday"}]`, nil, 400, "API v2"},
		"a label that is a number": {"/api/v2/alerts", `[{"labels":{"alertname":1}}]`, nil, 400, "`labels` is number"},
		"a body that lacks a part": {"/api/alerts/webhook", `{"checks":[{"name":"x"}]}`, nil, 400, "no such key: text"},
		"no list":                  {"/api/alerts/webhook", `{"checks":{}}`, nil, 400, "gives no list"},
		"a time that nobody reads": {"/api/alerts/webhook", strings.Replace(testdata(t, jenner.FromWebhook), "1772366280000", `"noon"`, 1), nil, 400, "which is no time"},
	} {
		t.Run(name, func(t *testing.T) {
			status, said, _ := g.ask(t, "POST", test.path, test.body, append([]string{"Authorization", bearer}, test.headers...)...)
			var told struct{ Error, Hint string }
			if err := json.Unmarshal([]byte(said), &told); err != nil || told.Error == "" || told.Hint == "" {
				t.Errorf("it says %s (%v); an error and a hint are wanted", said, err)
			}
			if status != test.want || !strings.Contains(said, test.says) {
				t.Errorf("it answered %d: %s; want %d and %q", status, said, test.want, test.says)
			}
		})
	}
	if len(g.sent) > 0 {
		t.Errorf("%v were taken", g.sent)
	}
}

func TestWhatIsLeftOutIsCounted(t *testing.T) {
	g := newGate(t, withToken("am", jenner.FromAlertmanager), withToken("prom", jenner.FromPrometheus))
	am := testdata(t, jenner.FromAlertmanager)
	for _, body := range []string{
		strings.Replace(am, `"truncatedAlerts":0`, `"truncatedAlerts":3`, 1),
		strings.Replace(am, `"status":"resolved"`, `"status":"pending"`, 1),
		strings.Replace(am, `"pod":"b"`, `"pod":"`+strings.Repeat("b", labelsSize)+`"`, 1),
	} {
		if status, said, _ := g.ask(t, "POST", "/api/alerts/alertmanager", body, "Authorization", bearer); status != http.StatusOK {
			t.Errorf("it answered %d: %s", status, said)
		}
	}
	if status, _, _ := g.ask(t, "POST", "/api/v2/alerts", `[{"labels":{}},{"labels":{"alertname":"x"}}]`, "Authorization", bearer); status != http.StatusOK {
		t.Errorf("it answered %d", status)
	}
	if diff := cmp.Diff(map[string]int{refusedTruncated: 3, refusedUnreadable: 3}, g.counts); diff != "" {
		t.Errorf("the counts differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{false, false, false, false}, g.whole); diff != "" {
		t.Errorf("a message that lacks alerts is not whole (-want +got):\n%s", diff)
	}
}

// many are so many alerts as a Prometheus sends them.
func many(from, count int) string {
	var alerts []string
	for i := range count {
		alerts = append(alerts, fmt.Sprintf(`{"labels":{"alertname":"Storm","n":"%d"}}`, from+i))
	}
	return "[" + strings.Join(alerts, ",") + "]"
}

// TestL20MoreThanComesIsRefused: each alert is taken or counted.
func TestL20MoreThanComesIsRefused(t *testing.T) {
	receiver := withToken("prom", jenner.FromPrometheus)
	receiver.MaxPerSecond = 1
	g := newGate(t, receiver)
	status, said, _ := g.ask(t, "POST", "/api/v2/alerts", many(0, burst+1), "Authorization", bearer)
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(said, "max_per_second") {
		t.Errorf("more than may ever come at once: %d %s", status, said)
	}
	statuses := map[int]int{}
	for i := range 10 {
		status, said, header := g.ask(t, "POST", "/api/v2/alerts", many(i*3, 3), "Authorization", bearer)
		statuses[status]++
		if status == http.StatusTooManyRequests && (header.Get("Retry-After") != "1" || !strings.Contains(said, "max_per_second")) {
			t.Errorf("it does not say when to come again: %v %s", header, said)
		}
	}
	if statuses[200] < 3 || statuses[429] == 0 || statuses[200]+statuses[429] != 10 {
		t.Errorf("the answers are %v", statuses)
	}
	if all := len(g.sent) + g.counts[refusedLimited]; all != 30+burst+1 {
		t.Errorf("%d alerts were taken or counted, want %d", all, 30+burst+1)
	}
}

// TestBodiesThatDoNotEndAreBounded: while some are read, others are told to come again, and nobody waits for ever.
func TestBodiesThatDoNotEndAreBounded(t *testing.T) {
	g := newGate(t, withToken("prom", jenner.FromPrometheus))
	held := make(chan struct{})
	var slow sync.WaitGroup
	for range readingAtOnce {
		slow.Go(func() {
			for !over(held) { // one that found the last place taken by the question below comes again
				g.hang(t, held)
			}
		})
	}
	if status, said := g.untilItAnswers(t, http.StatusServiceUnavailable); status != http.StatusServiceUnavailable {
		t.Errorf("beside %d bodies that do not end it answers %d: %s, want 503", readingAtOnce, status, said)
	}
	close(held)
	slow.Wait()
	// The sender knows that it hung up before the receiver does: the places come free a moment later.
	if status, said := g.untilItAnswers(t, http.StatusOK); status != http.StatusOK {
		t.Errorf("afterwards it answers %d: %s", status, said)
	}
}

// untilItAnswers asks again until the answer has that status, for eight seconds at most, and returns the last answer.
func (g *gate) untilItAnswers(t *testing.T, want int) (status int, said string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(8 * time.Second); time.Now().Before(deadline) && status != want; <-tick.C {
		status, said, _ = g.ask(t, "POST", "/api/v2/alerts", "[]", "Authorization", bearer)
	}
	return status, said
}

// over tells whether it is closed.
func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// hang sends a message that does not end until it is let go.
func (g *gate) hang(t *testing.T, held chan struct{}) {
	request, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/api/v2/alerts", hanging{held})
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", bearer)
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
	}
}

// hanging is a body that does not end until it is let go.
type hanging struct{ held chan struct{} }

func (h hanging) Read([]byte) (int, error) {
	<-h.held
	return 0, fmt.Errorf("let go")
}

// TestWhoAsksAsOneAsksAnAlertmanager finds Jenner's own alerts.
func TestWhoAsksAsOneAsksAnAlertmanager(t *testing.T) {
	g := newGate(t, withToken("prom", jenner.FromPrometheus))
	for path, want := range map[string]string{
		"/api/v2/alerts": `"alertname":"Down"`, "/api/v2/status": `"uptime"`, "/api/alerts": `"it":"is well"`,
		"/api/alerts/prometheus/prom/api/v2/alerts": `"state":"active"`,
	} {
		if status, said, _ := g.ask(t, "GET", path, "", "Authorization", bearer); status != 200 || !strings.Contains(said, want) {
			t.Errorf("%s answers %d: %s", path, status, said)
		}
		if status, said, _ := g.ask(t, "GET", path, ""); status != 401 || strings.Contains(said, want) {
			t.Errorf("%s answers a stranger %d: %s", path, status, said)
		}
	}
	for _, path := range []string{"/-/healthy", "/-/ready", "/healthz"} {
		if status, _, _ := g.ask(t, "GET", path, ""); status != 200 {
			t.Errorf("%s answers %d", path, status)
		}
	}
	none := newGate(t)
	if status, said, _ := none.ask(t, "GET", "/api/v2/alerts", ""); status != 404 || !strings.Contains(said, "kind receiver") {
		t.Errorf("without a receiver it answers %d: %s", status, said)
	}
}
