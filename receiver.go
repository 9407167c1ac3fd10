package jenner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Receiver is a document: a system from which alerts are taken, how it proves who it is, and for how long what it says is
// believed. Without such a document nothing is taken.
type Receiver struct {
	Name string       `json:"name"` // unique among receivers; the last part of its address
	From ReceiverFrom `json:"from"` // prometheus, alertmanager, grafana or webhook
	// Token and HMAC are how a sender proves who it is; where both are written, both are asked for.
	Token *Secret `json:"token,omitempty"` // said in the header Authorization as `Bearer TOKEN`
	HMAC  *HMAC   `json:"hmac,omitempty"`  // a signature of the body
	// Local lets in senders on this machine that prove nothing. What comes through a proxy is not from this machine.
	Local bool `json:"local,omitempty"`
	// Alerts are the names of the alerts that are taken; all where not said. Signatures and triggers may name these.
	Alerts []string     `json:"alerts,omitempty"`
	Read   *WebhookRead `json:"read,omitempty"` // from: webhook only, where it must be written
	// ResendEvery is how often the sender says at least that an alert fires on. For so long after it was last heard of an
	// alert counts as one that fires now; 5m where not said. A Prometheus says itself for how long, and this is the most.
	ResendEvery Duration `json:"resend_every,omitempty"`
	// ExpiresAfter is how long ago an alert may have begun that is heard of for the first time: an older one is passed over,
	// for it may be a message from long ago. 10m where not said.
	ExpiresAfter Duration `json:"expires_after,omitempty"`
	// Alertmanager is the one that the alerts come from: it is asked whether they still fire, and may be told to be silent.
	Alertmanager *ReceiverAlertmanager `json:"alertmanager,omitempty"`
	MaxBody      int                   `json:"max_body,omitempty"`       // bytes of one request; 4194304 where not said
	MaxPerSecond int                   `json:"max_per_second,omitempty"` // alerts a second that are taken, 2000 where not said; ten times as many at once
	Dir          string                `json:"-"`                        // the folder that relative paths start from
	Source       Source                `json:"-"`
}

// ReceiverFrom is the form in which a system tells of its alerts.
type ReceiverFrom string

// The forms.
const (
	FromPrometheus   ReceiverFrom = "prometheus"   // a Prometheus that has Jenner in its list of Alertmanagers (API v2)
	FromAlertmanager ReceiverFrom = "alertmanager" // an Alertmanager's webhook (version 4)
	FromGrafana      ReceiverFrom = "grafana"      // the webhook of Grafana's contact points
	FromWebhook      ReceiverFrom = "webhook"      // any JSON, read by CEL
)

// ReceiverForms are all forms.
var ReceiverForms = []ReceiverFrom{FromPrometheus, FromAlertmanager, FromGrafana, FromWebhook}

// What holds where a receiver does not say.
const (
	DefaultResendEvery  = 5 * time.Minute
	DefaultExpiresAfter = 10 * time.Minute
	DefaultMaxBody      = 4 << 20
	DefaultMaxPerSecond = 2000
	DefaultAskEvery     = 5 * time.Second
	DefaultSilenceFor   = time.Minute
)

// Secret is a word that is not written in the files: exactly one of the two says where it is.
type Secret struct {
	File string `json:"file,omitempty"` // a file that holds it; white space around it does not count
	Env  string `json:"env,omitempty"`  // the variable of Jenner's environment that holds it
}

// Read reads the secret as it is now. A relative path starts from dir.
func (s Secret) Read(dir string) (string, error) {
	if s.Env != "" {
		word, set := os.LookupEnv(s.Env)
		if !set {
			return "", fmt.Errorf("the environment variable %s is not set", s.Env)
		}
		return strings.TrimSpace(word), nil
	}
	path := s.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	raw, err := os.ReadFile(path)
	return strings.TrimSpace(string(raw)), err
}

// HMAC is a signature of a request: HMAC-SHA256 of its body, in hexadecimal.
type HMAC struct {
	Secret Secret `json:"secret"`           // the key
	Header string `json:"header,omitempty"` // where the signature stands; where not said X-Hub-Signature-256, from Grafana X-Grafana-Alerting-Signature
	// Prefix is what stands before the signature; where not said `sha256=` in X-Hub-Signature-256, and nothing elsewhere.
	Prefix string `json:"prefix,omitempty"`
	// TimestampHeader is a header with the seconds since 1970 at which it was signed, as Grafana has it: what is signed is
	// then TIMESTAMP:BODY, and one from more than five minutes ago is refused.
	TimestampHeader string `json:"timestamp_header,omitempty"`
}

// WebhookRead says in CEL how an alert is read from a JSON body. All may use `body`, and all but Alerts `alert`: the one
// that is looked at, which is the body itself where Alerts is not written.
type WebhookRead struct {
	Alerts   string `json:"alerts,omitempty"`    // the list of alerts, such as body.alerts
	Name     string `json:"name"`                // what the alert is called
	Status   string `json:"status"`              // firing or resolved; anything else is passed over
	Service  string `json:"service,omitempty"`   // whose it is; where not said the labels tell, by the mappings
	StartsAt string `json:"starts_at,omitempty"` // a timestamp, RFC 3339, or seconds or milliseconds since 1970
	EndsAt   string `json:"ends_at,omitempty"`   // likewise
	Summary  string `json:"summary,omitempty"`   // one sentence
	Severity string `json:"severity,omitempty"`  // critical, page … wake somebody, warning, ticket … wait
	Labels   string `json:"labels,omitempty"`    // a map of texts, numbers and truth values
	Key      string `json:"key,omitempty"`       // what makes it the same alert again; name, service and labels where not said
}

// ReceiverAlertmanager is an Alertmanager that is spoken to about the alerts of a receiver.
type ReceiverAlertmanager struct {
	URL   string  `json:"url"`             // such as http://alertmanager:9093, with its path prefix where it has one
	Token *Secret `json:"token,omitempty"` // said to it as `Authorization: Bearer TOKEN`
	// Every is how often it is asked about the alerts of open incidents; 5s where not said. It is asked right before
	// something is done as well.
	Every Duration `json:"every,omitempty"`
	// SilenceWhileActing silences exactly the alerts that something is being done about, for as long as that takes.
	SilenceWhileActing bool `json:"silence_while_acting,omitempty"`
	// SilenceFor is how long such a silence lasts where Jenner is gone; 1m where not said. Half of it over, it is renewed.
	SilenceFor Duration `json:"silence_for,omitempty"`
}

// SentAlert is an alert as another system tells it, before anybody knows whose it is. Times are of the sender's clock.
type SentAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Status      AlertStatus       `json:"status"`
	StartsAt    time.Time         `json:"starts_at"`         // zero: not said
	EndsAt      time.Time         `json:"ends_at"`           // of a resolved one; zero: not said
	Until       time.Time         `json:"until,omitzero"`    // of a firing one: until when the sender vouches for it; zero: not said
	Service     string            `json:"service,omitempty"` // where the sender says it; else the labels tell
	Key         string            `json:"key,omitempty"`     // what makes it the same alert again, where that is not its labels
	NoData      bool              `json:"no_data,omitempty"` // it says only that the sender could not look
	Group       string            `json:"group,omitempty"`   // the notification's group
}

// AlertName is the label that names an alert, in Prometheus and in all that follows it.
const AlertName = "alertname"
