// Package alarm raises false alarms for drills of the line itself: a page of metrics that nobody serves but a fault, whose
// alerts come all at once, come and go, or are left behind.
//
// A service for such drills names the page as a target and scrapes it, with a rule on what the page says:
//
//	targets: [{kind: alarm, name: page, listen: 127.0.0.1:9911}]
//	metrics: [{scrape: http://127.0.0.1:9911/metrics, every: 500ms}]
//	alerts: [{name: false-alarm, promql: jenner_alarm > 0}]
//
// It is not for hiding what is true: telemetry is lost by a fault on what serves it, such as hang on the process of an
// exporter.
package alarm

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "alarm", Doc: "False alarms, for drills of the line itself", Kinds: []string{"alarm"}}
