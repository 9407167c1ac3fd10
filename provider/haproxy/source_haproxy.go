package haproxy

import (
	"context"
	"strings"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Source("haproxy", "How the servers of a backend are, and what they do", func() telemetry.Source { return &SourceHaproxy{} })
}

// SourceHaproxy gives the numbers of one backend and its servers, named and labelled as HAProxy's own Prometheus
// exporter does: haproxy_server_* with the labels proxy and server, haproxy_backend_* with proxy. They end in status,
// check_failures_total, current_sessions, current_queue, sessions_total, bytes_in_total,
// bytes_out_total, connection_errors_total, response_errors_total, http_responses_total by code, weight; of a backend
// also active_servers. haproxy_server_status is 1 for the server's present state (label state: UP, DOWN, MAINT, DRAIN,
// NOLB) and 0 for the others; a server without a check is UP.
type SourceHaproxy struct {
	// Target is the name of the service's target; the only one of kind haproxy where not said.
	Target string `json:"target,omitempty"`
}

// counted are the columns of `show stat` that become metrics, by the end of their names.
var counted = map[string]string{
	"scur": "current_sessions", "qcur": "current_queue", "stot": "sessions_total", "bin": "bytes_in_total", "bout": "bytes_out_total",
	"econ": "connection_errors_total", "eresp": "response_errors_total", "weight": "weight", "chkfail": "check_failures_total",
}

// serverStates are the values of the label state.
var serverStates = []string{"UP", "DOWN", "MAINT", "DRAIN", "NOLB"}

// Instance is where the runtime API listens.
func (s *SourceHaproxy) Instance(call telemetry.SourceCall) (string, error) {
	t, err := named(call.Service, s.Target)
	if err != nil {
		return "", err
	}
	return t.Socket, nil
}

// Collect asks once.
func (s *SourceHaproxy) Collect(ctx context.Context, call telemetry.SourceCall) ([]telemetry.Sample, error) {
	t, err := named(call.Service, s.Target)
	if err != nil {
		return nil, err
	}
	rows, err := t.stats(ctx)
	if err != nil {
		return nil, err
	}
	var samples []telemetry.Sample
	for _, one := range rows {
		samples = append(samples, one.samples()...)
	}
	return samples, nil
}

func (r row) samples() []telemetry.Sample {
	prefix, labels := "haproxy_server_", map[string]string{"proxy": r["pxname"], "server": r["svname"]}
	backend := r["svname"] == "BACKEND"
	if backend {
		prefix, labels = "haproxy_backend_", map[string]string{"proxy": r["pxname"]}
	}
	with := func(key, value string) map[string]string {
		more := map[string]string{key: value}
		for name, label := range labels {
			more[name] = label
		}
		return more
	}
	var samples []telemetry.Sample
	add := func(column, name string, labels map[string]string) {
		if value, has := r.number(column); has {
			samples = append(samples, telemetry.Sample{Name: prefix + name, Labels: labels, Value: value})
		}
	}
	for column, name := range counted {
		add(column, name, labels)
	}
	for _, code := range []string{"1xx", "2xx", "3xx", "4xx", "5xx"} {
		add("hrsp_"+code, "http_responses_total", with("code", code))
	}
	if backend {
		add("act", "active_servers", labels)
		return samples
	}
	for _, state := range serverStates {
		value := 0.0
		if r.state() == state {
			value = 1
		}
		samples = append(samples, telemetry.Sample{Name: prefix + "status", Labels: with("state", state), Value: value})
	}
	return samples
}

// state is the first word of the status: `UP 1/3` is a server that is up and failed a check.
func (r row) state() string {
	word, _, _ := strings.Cut(r["status"], " ")
	if word == "no" { // no check
		return "UP"
	}
	return word
}
