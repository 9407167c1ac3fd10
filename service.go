package jenner

import "encoding/json"

// Source is where in the written files something stands.
type Source struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Params are the parameters of an action, a fault, a probe or a target, each value as JSON. Whoever owns them decodes
// them strictly into a typed struct.
type Params map[string]json.RawMessage

// Service is what people care about.
type Service struct {
	Name        string   `json:"name"` // one word, known to all other documents
	Description string   `json:"description,omitempty"`
	Owner       string   `json:"owner,omitempty"`       // the team that answers for it
	Tier        int      `json:"tier,omitempty"`        // 1 matters most; 0 is 'not said'
	Environment string   `json:"environment,omitempty"` // production, staging …; policies select by it
	DependsOn   []string `json:"depends_on,omitempty"`  // services without which this one cannot work
	// External marks a third party's service: its state is evidence, but nothing of it can be healed from here, so an
	// incident stays with the lowest failing service that is ours.
	External bool `json:"external,omitempty"`
	// FailureDomain is what fails together with it, such as a zone: never two experiments at the same time in one.
	FailureDomain string          `json:"failure_domain,omitempty"`
	Targets       []Target        `json:"targets,omitempty"` // the first one is what is meant where a service is named as a target
	Metrics       []MetricsSource `json:"metrics,omitempty"` // where its numbers come from
	// Prometheus is the server that its PromQL is asked of. Where it is not said and the service has no metrics of its own, the
	// default server is asked, if there is one.
	Prometheus string  `json:"prometheus,omitempty"`
	Probes     []Probe `json:"probes,omitempty"` // questions that are asked of it again and again
	Alerts     []Rule  `json:"alerts,omitempty"` // conditions in PromQL that mean trouble
	SLIs       []SLI   `json:"slis,omitempty"`   // numbers that tell how well it does
	SLOs       []SLO   `json:"slos,omitempty"`   // objectives over a window
	Source     Source  `json:"-"`
}

// TargetNamed is the service's target of that name.
func (s Service) TargetNamed(name string) (Target, bool) {
	for _, target := range s.Targets {
		if target.Name == name {
			return target, true
		}
	}
	return Target{}, false
}

// ProbeNamed is the service's probe of that name.
func (s Service) ProbeNamed(name string) (Probe, bool) {
	for _, probe := range s.Probes {
		if probe.Name == name {
			return probe, true
		}
	}
	return Probe{}, false
}

// HasTarget tells whether one of the service's targets is of that kind.
func (s Service) HasTarget(kind string) bool {
	for _, target := range s.Targets {
		if target.Kind == kind {
			return true
		}
	}
	return false
}

// Target is one thing that can be observed or changed. Its kind picks the provider; Params are what that kind needs
// (a process: start, stop, pidfile, grace).
type Target struct {
	Kind string `json:"kind"` // process, file, http …: it picks the provider
	Name string `json:"name"` // unique within the service
	// ManagedBy is the controller that owns the target's configuration, such as argocd or an operator: whatever else
	// changes it is put back by that one. A step that acts through it says so.
	ManagedBy string `json:"managed_by,omitempty"`
	Params    Params `json:"params,omitempty" rest:"true"`
	Dir       string `json:"dir,omitempty" config:"-"` // the folder that relative paths start from
}

// Ref is the target's short form.
func (t Target) Ref() TargetRef { return TargetRef{Kind: t.Kind, Name: t.Name} }

// TargetRef names a target.
type TargetRef struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// String is `kind/name`, or nothing for the zero value.
func (r TargetRef) String() string {
	if r == (TargetRef{}) {
		return ""
	}
	return r.Kind + "/" + r.Name
}

// MetricsSource is a place that samples are fetched from: a page that is scraped, or a provider's source, of which Kind is
// the written key (`postgres`) and Params what stands under it.
type MetricsSource struct {
	Scrape string   `json:"scrape,omitempty"` // URL of a page in the Prometheus text format
	Kind   string   `json:"kind,omitempty" config:"-"`
	Params Params   `json:"params,omitempty" rest:"kind" or:"scrape"`
	Every  Duration `json:"every,omitempty"` // 1s where not said
	// Labels are added to every number of it, such as job, by which rule catalogues know it.
	Labels map[string]string `json:"labels,omitempty"`
}

// Probe asks a service a question again and again. Kind is the written key (`http`, `tcp`, `command`, `transaction`)
// and Params what stands under it.
type Probe struct {
	Name    string   `json:"name"` // unique within the service; its alerts are NAME-failing and NAME-slow
	Kind    string   `json:"kind" config:"-"`
	Params  Params   `json:"params,omitempty" rest:"kind"`
	Every   Duration `json:"every,omitempty"`   // 1s where not said
	Timeout Duration `json:"timeout,omitempty"` // the smaller of 1s and Every where not said
	Slow    Duration `json:"slow,omitempty"`    // an answer later than this is 'slow'; zero: never
	Fails   int      `json:"fails,omitempty"`   // an alert needs this many failures, 2 where not said …
	Of      int      `json:"of,omitempty"`      // … of this many last answers, Fails+1 where not said
	Alert   *bool    `json:"alert,omitempty"`   // false: evidence only, never an alert
}

// Rule is an alert that people wrote in PromQL: it fires for each series of the answer that lasts for For.
type Rule struct {
	Name     string   `json:"name"`               // the name of the alert
	PromQL   string   `json:"promql"`             // fires for each series of the answer; $service stands for the name of the service
	For      Duration `json:"for,omitempty"`      // for how long it must hold; at once where not said
	Severity string   `json:"severity,omitempty"` // page or ticket; page where not said
	Summary  string   `json:"summary,omitempty"`  // one line for people
}

// SLI is a number that tells how well the service does. Where neither bound is declared, both are learned from the
// baseline; where one is, the other side is open, for who declares one has said which direction is bad.
type SLI struct {
	Name   string   `json:"name"`            // unique within the service
	PromQL string   `json:"promql"`          // must answer with one number
	Below  *Number  `json:"below,omitempty"` // it is well while the number is at most this
	Above  *Number  `json:"above,omitempty"` // it is well while the number is at least this
	For    Duration `json:"for,omitempty"`   // an alert needs it out of bounds for this long; zero: never an alert
}

// SLO is an objective over a window of time, from good and total events.
type SLO struct {
	Name      string   `json:"name"`      // unique within the service
	Objective Share    `json:"objective"` // the share of good events that is promised
	Window    Duration `json:"window"`    // over which time it is promised
	Good      string   `json:"good"`      // PromQL: the good events
	Total     string   `json:"total"`     // PromQL: all events
}
