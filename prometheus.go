package jenner

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Prometheus is a document: a server that answers PromQL by Prometheus' HTTP API, such as Prometheus, Mimir, Thanos or
// VictoriaMetrics. Services that name it, and all that belongs to no other telemetry where it is the default, ask it in place
// of the numbers that Jenner collects itself.
type Prometheus struct {
	Name string `json:"name"` // unique among servers; services name it under `prometheus`
	URL  string `json:"url"`  // the address in front of /api/v1, such as http://mimir:8080/prometheus
	// Default makes it the telemetry of rule catalogues, and of every service that neither names a server nor has metrics of
	// its own. At most one server is the default.
	Default bool `json:"default,omitempty"`
	// Service is the service that this server is itself: the alert telemetry-down is then about that one, and opens an incident.
	Service           string            `json:"service,omitempty"`
	EscalationChannel string            `json:"escalation_channel,omitempty"` // who is told when it gives no answer for a minute, where it is no service
	BearerTokenFile   string            `json:"bearer_token_file,omitempty"`  // file that holds a token, read anew for each question
	BearerTokenEnv    string            `json:"bearer_token_env,omitempty"`   // environment variable that holds a token
	Username          string            `json:"username,omitempty"`           // for basic authentication
	PasswordFile      string            `json:"password_file,omitempty"`      // file that holds the password, read anew for each question
	Tenant            string            `json:"tenant,omitempty"`             // sent as X-Scope-OrgID, which tells Mimir and Thanos whose numbers
	CAFile            string            `json:"ca_file,omitempty"`            // PEM of the authorities that are believed; the system's where not said
	Insecure          bool              `json:"insecure,omitempty"`           // believe any certificate
	Timeout           Duration          `json:"timeout,omitempty"`            // of one question, 5s where not said
	MaxAge            Duration          `json:"max_age,omitempty"`            // older numbers are no data, 2m where not said; three scrapes of the server
	Every             Duration          `json:"every,omitempty"`              // how often rules and SLIs ask, 5s where not said
	Labels            map[string]string `json:"labels,omitempty"`             // the server's external labels, for templates and mappings of alerts
	Dir               string            `json:"-"`                            // the folder that relative paths start from
	Source            Source            `json:"-"`
}

// Address is the URL, in front of /api/v1. The error says how to write it.
func (p Prometheus) Address() (*url.URL, error) {
	address, err := url.Parse(p.URL)
	switch {
	case err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "":
		return nil, fmt.Errorf("%q is no address of a server; write http://HOST:PORT", p.URL)
	case address.User != nil:
		return nil, errors.New("the url holds credentials; write username and password_file")
	case address.RawQuery != "" || address.Fragment != "":
		return nil, fmt.Errorf("%q has more than a path; write the address in front of /api/v1", p.URL)
	case strings.HasSuffix(strings.TrimRight(address.Path, "/"), "/api/v1"):
		return nil, fmt.Errorf("%q ends in /api/v1; write the address in front of it", p.URL)
	}
	return address, nil
}

// TelemetryDown is the alert that a server does not answer.
const TelemetryDown = "telemetry-down"

// The choices of a Prometheus that are not written.
const (
	DefaultServerTimeout = 5 * time.Second
	DefaultServerMaxAge  = 2 * time.Minute
	DefaultServerEvery   = 5 * time.Second
)

// Server is the server that a service's PromQL is asked of, false where it is asked of the numbers that Jenner collects
// itself: the one that the service names, else, where it has no metrics of its own, the default one. The zero Service
// stands for whatever is about no service.
func (d *Documents) Server(service Service) (Prometheus, bool) {
	for _, server := range d.Prometheus {
		named := service.Prometheus != "" && service.Prometheus == server.Name
		if named || server.Default && service.Prometheus == "" && len(service.Metrics) == 0 {
			return server, true
		}
	}
	return Prometheus{}, false
}

// Catalogue is a document: rules as Prometheus loads them, a file with `groups`, or a PrometheusRule object of Kubernetes.
type Catalogue struct {
	Name   string      `json:"name,omitempty" config:"-"` // the file's, or the object's
	Groups []RuleGroup `json:"groups"`                    // each evaluated from the top, one rule after the other
	Source Source      `json:"-"`
}

// Alerts tells whether one of its rules gives an alert of that name.
func (c Catalogue) Alerts(name string) bool {
	for _, group := range c.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == name && name != "" {
				return true
			}
		}
	}
	return false
}

// RuleGroup are rules that are evaluated together.
type RuleGroup struct {
	Name        string            `json:"name"`                   // unique in its file
	Interval    Duration          `json:"interval,omitempty"`     // how often; 5s where not said, or as the server's `every`
	QueryOffset Duration          `json:"query_offset,omitempty"` // is passed over, with a warning
	Limit       int               `json:"limit,omitempty"`        // more alerts or series of one rule than this are an error; 0: no limit
	Labels      map[string]string `json:"labels,omitempty"`       // added to those of the rules
	Rules       []GroupRule       `json:"rules"`                  // in this order
}

// GroupRule is a rule of a catalogue: one that alerts, or one that records a series.
type GroupRule struct {
	Record        string            `json:"record,omitempty"`          // the name of the series …
	Alert         string            `json:"alert,omitempty"`           // … or of the alert
	Expr          string            `json:"expr"`                      // PromQL
	For           Duration          `json:"for,omitempty"`             // for how long it must hold
	KeepFiringFor Duration          `json:"keep_firing_for,omitempty"` // for how long it fires on when it holds no more
	Labels        map[string]string `json:"labels,omitempty"`          // of the alert or series; Prometheus' templates in those of alerts
	Annotations   map[string]string `json:"annotations,omitempty"`     // texts for people, Prometheus' templates: summary, description
	Line          int               `json:"line,omitempty" config:"-"` // in the file
}

// Name is what the rule is called.
func (r GroupRule) Name() string { return r.Alert + r.Record }
