package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/expression"
)

// Taker takes the alerts that were read from messages.
type Taker interface {
	// Take takes what one message says and tells how many alerts came to what. A message that is whole names all that its
	// group has.
	Take(receiver jenner.Receiver, sent []jenner.SentAlert, whole bool) map[string]int
	// Count counts alerts of a receiver that did not come as far as Take.
	Count(receiver, result string, alerts int)
}

// Receive takes the alerts of other systems over HTTP, as the documents of kind receiver allow. All fields must be set.
type Receive struct {
	Receivers func() []jenner.Receiver
	Taker     Taker
	Firing    func() []jenner.Alert // those on the board, for whoever asks as one asks an Alertmanager
	Status    func() any            // what GET /api/alerts tells beside the receivers
	Now       func() time.Time
	Logger    *slog.Logger

	mu       sync.Mutex
	limits   map[string]*rate.Limiter          // by receiver
	compiled map[string]*expression.Expression // as they are written in `read`
}

// Why messages were refused whose alerts could be counted.
const (
	refusedLimited    = "limited"    // too many a second
	refusedTruncated  = "truncated"  // the sender left them out of its message
	refusedUnreadable = "unreadable" // a part that cannot be read, or is too big
)

// RefusedResults are all of them.
var RefusedResults = []string{refusedLimited, refusedTruncated, refusedUnreadable}

const (
	// readingAtOnce is how many bodies are read at the same time: what they take of memory is known beforehand.
	readingAtOnce = 16
	// readPatience is how long a sender may take to send its body.
	readPatience = 10 * time.Second
	// burst is how many seconds' worth of alerts may come at once.
	burst = 10
)

// message is what was read from one body.
type message struct {
	alerts     []jenner.SentAlert
	whole      bool // it names all that its group has
	truncated  int  // alerts that the sender left out
	unreadable int  // parts that could not be read
}

// parse reads a body in the receiver's form.
func (rc *Receive) parse(receiver jenner.Receiver, body []byte, now time.Time) (message, error) {
	switch receiver.From {
	case jenner.FromPrometheus:
		return readPrometheus(body, now)
	case jenner.FromAlertmanager:
		return readAlertmanager(body)
	case jenner.FromGrafana:
		return readGrafana(body)
	}
	return rc.readWebhook(receiver, body)
}

// refusal is why a request is not taken, and what to do about it.
type refusal struct {
	status int
	after  time.Duration // when it may be sent again; zero: as it is, never
	Error  string        `json:"error"`
	Hint   string        `json:"hint,omitempty"`
}

func refuse(status int, hint, format string, args ...any) *refusal {
	return &refusal{status: status, Error: fmt.Sprintf(format, args...), Hint: hint}
}

// register adds the addresses to the mux.
func (rc *Receive) register(mux *http.ServeMux) {
	slots := make(chan struct{}, readingAtOnce)
	take := func(from jenner.ReceiverFrom) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { rc.take(w, r, from, slots) }
	}
	for _, from := range []jenner.ReceiverFrom{jenner.FromAlertmanager, jenner.FromGrafana, jenner.FromWebhook} {
		mux.HandleFunc("POST /api/alerts/"+string(from), take(from))
		mux.HandleFunc("POST /api/alerts/"+string(from)+"/{name}", take(from))
	}
	for _, prefix := range []string{"", "/api/alerts/prometheus/{name}"} { // what a Prometheus puts before: its path_prefix
		mux.HandleFunc("POST "+prefix+"/api/v2/alerts", take(jenner.FromPrometheus))
		mux.HandleFunc("GET "+prefix+"/api/v2/alerts", rc.asked(rc.listAlerts))
		mux.HandleFunc("GET "+prefix+"/api/v2/status", rc.asked(rc.listStatus))
		mux.HandleFunc("GET "+prefix+"/-/healthy", ok)
		mux.HandleFunc("GET "+prefix+"/-/ready", ok)
	}
	mux.HandleFunc("GET /api/alerts", rc.asked(func(*http.Request) any { return rc.Status() }))
}

func ok(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") }

// take is one message.
func (rc *Receive) take(w http.ResponseWriter, r *http.Request, from jenner.ReceiverFrom, slots chan struct{}) {
	receiver, no := rc.receiver(from, r.PathValue("name"))
	if no == nil {
		no = rc.mayRead(r, receiver)
	}
	if no != nil {
		rc.answerNo(w, r, receiver, no)
		return
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	default:
		rc.answerNo(w, r, receiver, &refusal{status: http.StatusServiceUnavailable, after: time.Second,
			Error: "too many messages are being read at this moment"})
		return
	}
	read, no := rc.read(w, r, receiver)
	if no != nil {
		rc.answerNo(w, r, receiver, no)
		return
	}
	results := rc.Taker.Take(receiver, read.alerts, read.whole)
	for reason, count := range map[string]int{refusedTruncated: read.truncated, refusedUnreadable: read.unreadable} {
		if count > 0 {
			rc.Taker.Count(receiver.Name, reason, count)
			results[reason] = count
			rc.Logger.Warn("a message lacks alerts", "receiver", receiver.Name, "reason", reason, "alerts", count)
		}
	}
	rc.Logger.Debug("alerts were taken", "receiver", receiver.Name, "results", results)
	answer(w, http.StatusOK, map[string]any{"results": results})
}

// receiver finds the document for an address. The name may be left out where there is one of that form.
func (rc *Receive) receiver(from jenner.ReceiverFrom, name string) (jenner.Receiver, *refusal) {
	var found []jenner.Receiver
	for _, receiver := range rc.Receivers() {
		if receiver.From == from && (name == "" || receiver.Name == name) {
			found = append(found, receiver)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return jenner.Receiver{}, refuse(http.StatusNotFound, "add the receiver's name to the address",
			"there are %d receivers from %s", len(found), from)
	case name != "":
		return jenner.Receiver{}, refuse(http.StatusNotFound, "write a document: {kind: receiver, name: "+name+", from: "+string(from)+", token: {file: ...}}",
			"there is no receiver %q from %s", name, from)
	}
	return jenner.Receiver{}, refuse(http.StatusNotFound, "write a document: {kind: receiver, name: ..., from: "+string(from)+", token: {file: ...}}",
		"no alerts are taken from %s", from)
}

// mayRead says why a body is not even read.
func (rc *Receive) mayRead(r *http.Request, receiver jenner.Receiver) *refusal {
	if no := proven(r, receiver); no != nil {
		return no
	}
	form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || form != "application/json":
		return refuse(http.StatusUnsupportedMediaType, "send JSON, and the header Content-Type: application/json",
			"the content type is %q", r.Header.Get("Content-Type"))
	case r.Header.Get("Content-Encoding") != "":
		return refuse(http.StatusUnsupportedMediaType, "send it plain", "the body is packed as %q", r.Header.Get("Content-Encoding"))
	}
	return nil
}

// read reads the body, whose signature is looked at before anything else of it.
func (rc *Receive) read(w http.ResponseWriter, r *http.Request, receiver jenner.Receiver) (message, *refusal) {
	limit := receiver.MaxBody
	if limit <= 0 {
		limit = jenner.DefaultMaxBody
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readPatience)) // where the connection has none, the server's holds
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return message{}, refuse(http.StatusRequestEntityTooLarge, "let the sender send fewer alerts in one message, or raise max_body of the receiver",
			"the body is larger than %d bytes", limit)
	case err != nil:
		return message{}, refuse(http.StatusBadRequest, "send it again", "the body broke off: %v", err)
	}
	now := rc.Now()
	if no := signed(r, receiver, body, now); no != nil {
		return message{}, no
	}
	read, err := rc.parse(receiver, body, now)
	if err != nil {
		return message{}, refuse(http.StatusBadRequest, hintOf(receiver.From), "the body cannot be read: %v", err)
	}
	limiter, most := rc.limiter(receiver)
	switch count := len(read.alerts); {
	case count > most:
		rc.Taker.Count(receiver.Name, refusedLimited, count)
		return message{}, refuse(http.StatusRequestEntityTooLarge, "let the sender send fewer alerts in one message, or raise max_per_second of the receiver",
			"there are %d alerts in the message, and %d may come at once", count, most)
	case !limiter.AllowN(time.Now(), count):
		rc.Taker.Count(receiver.Name, refusedLimited, count)
		no := refuse(http.StatusTooManyRequests, "send it again later, or raise max_per_second of the receiver",
			"more than %g alerts a second came from the receiver", float64(limiter.Limit()))
		no.after = time.Second
		return message{}, no
	}
	return read, nil
}

func hintOf(from jenner.ReceiverFrom) string {
	switch from {
	case jenner.FromPrometheus:
		return "this address takes what Prometheus sends to an Alertmanager, a list of alerts (API v2)"
	case jenner.FromAlertmanager:
		return "this address takes what Alertmanager sends to a webhook_config (version 4)"
	case jenner.FromGrafana:
		return "this address takes what Grafana's contact point of type webhook sends, without a custom payload"
	}
	return "compare the body with what `read` of the receiver says"
}

// limiter bounds how many alerts a receiver's sender can make us look at.
func (rc *Receive) limiter(receiver jenner.Receiver) (*rate.Limiter, int) {
	perSecond := receiver.MaxPerSecond
	if perSecond <= 0 {
		perSecond = jenner.DefaultMaxPerSecond
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	limiter := rc.limits[receiver.Name]
	if limiter == nil || limiter.Limit() != rate.Limit(perSecond) {
		if rc.limits == nil {
			rc.limits = map[string]*rate.Limiter{}
		}
		limiter = rate.NewLimiter(rate.Limit(perSecond), burst*perSecond)
		rc.limits[receiver.Name] = limiter
	}
	return limiter, burst * perSecond
}

// asked answers whoever may send alerts.
func (rc *Receive) asked(tell func(*http.Request) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var no *refusal
		for _, receiver := range rc.Receivers() {
			if no = proven(r, receiver); no == nil && receiver.HMAC == nil { // nobody signs a question
				answer(w, http.StatusOK, tell(r))
				return
			}
		}
		if no == nil {
			no = refuse(http.StatusNotFound, "write a document of kind receiver with a token, or with local: true", "there is nobody who may ask")
		}
		rc.answerNo(w, r, jenner.Receiver{}, no)
	}
}

func (rc *Receive) answerNo(w http.ResponseWriter, r *http.Request, receiver jenner.Receiver, no *refusal) {
	rc.Logger.Warn("alerts were refused", "receiver", receiver.Name, "path", r.URL.Path, "sender", r.RemoteAddr, "status", no.status, "error", no.Error)
	if no.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(no.after.Seconds())))
	}
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	answer(w, no.status, no)
}

func answer(w http.ResponseWriter, status int, told any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(told) // the sender has gone where it fails
}
