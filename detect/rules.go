package detect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// rule is one expression that is evaluated again and again: a written alert of one service, or a runbook's trigger.
type rule struct {
	kind     jenner.AlertKind
	service  string   // empty: each series says by its service label, or else
	selected []string // … it belongs to the one service that the trigger's policies select
	name     string
	promql   string
	follows  string        // instead of promql: the name of another alert that this one goes with
	hold     time.Duration // its `for`
	severity jenner.Severity
	summary  string

	about  string      // the service that its question is about; empty: none
	server string      // that it is asked of; empty: of Jenner's own numbers
	of     *catalogued // of a catalogue's rule; else nil

	pending map[string]time.Time // fingerprint to since when the expression holds without a break
	failing bool                 // the last question could not be asked
	clear   bool                 // at the last look it held for nothing, and there was data
}

func (r *rule) key() string {
	return strings.Join([]string{string(r.kind), r.service, r.name, r.promql, r.follows, r.hold.String(), r.of.key()}, "\x00")
}

// owns tells whether the alert is one of the rule's.
func (r *rule) owns(alert jenner.Alert) bool {
	if r.of != nil || strings.HasPrefix(alert.Fingerprint, cataloguePrefix) {
		return r.of != nil && r.of.owns(alert)
	}
	return alert.Kind == r.kind && alert.Name == r.name && (r.service == "" || alert.Service == r.service)
}

// forService puts the service's name where people wrote $service.
func forService(promql, service string) string {
	return strings.ReplaceAll(promql, "$service", service)
}

func (e *Engine) setRules(docs *jenner.Documents) {
	before := map[string]*rule{}
	for _, old := range e.rules {
		before[old.key()] = old
	}
	e.rules = nil
	taken := map[string]bool{}
	for _, r := range append(serviceRules(docs), e.triggerRules(docs)...) {
		identity := string(r.kind) + "\x00" + r.service + "\x00" + r.name
		if taken[identity] {
			// Each of two rules of one name would resolve what the other one raised.
			e.warnOnce("two alerts have the same name; only the first is evaluated, rename the other",
				"alert", r.name, "service", r.service)
			continue
		}
		taken[identity] = true
		e.rules = append(e.rules, r)
	}
	e.rules = append(e.rules, e.catalogueRules(docs)...)
	for _, r := range e.rules {
		r.pending = map[string]time.Time{}
		if old := before[r.key()]; old != nil {
			r.pending = old.pending
			r.of.goOn(old.of)
		}
		about, _ := docs.Service(r.about)
		server, _ := docs.Server(about)
		r.server = server.Name
	}
}

func serviceRules(docs *jenner.Documents) []*rule {
	var rules []*rule
	for _, service := range docs.Services {
		for _, written := range service.Alerts {
			severity := jenner.Severity(written.Severity)
			if severity == "" {
				severity = jenner.SeverityPage
			}
			rules = append(rules, &rule{
				kind: jenner.AlertRule, service: service.Name, name: written.Name,
				promql: forService(written.PromQL, service.Name), hold: written.For.Std(),
				severity: severity, summary: written.Summary, about: service.Name,
			})
		}
	}
	return rules
}

func (e *Engine) triggerRules(docs *jenner.Documents) []*rule {
	var rules []*rule
	for _, runbook := range docs.Runbooks {
		if runbook.Trigger == nil {
			continue
		}
		if e.triggers == nil {
			e.warnOnce("this engine reads no triggers, so the runbook never starts by itself", "runbook", runbook.Name)
			continue
		}
		name, promql, err := e.triggers(runbook)
		if err != nil {
			e.warnOnce("the trigger of a runbook cannot be read, so it never starts by itself; correct its `alert`",
				"runbook", runbook.Name, "error", err)
			continue
		}
		if promql == "" {
			rules = append(rules, newTrigger(runbook, "", name, nil, ""))
			continue
		}
		rules = append(rules, triggers(runbook, promql, selected(docs, runbook.Name))...)
	}
	return rules
}

// triggers makes the rule of one trigger; one for each selected service where the expression names $service.
func triggers(runbook jenner.Runbook, promql string, services []string) []*rule {
	if !strings.Contains(promql, "$service") {
		return []*rule{newTrigger(runbook, promql, "", services, "")}
	}
	var rules []*rule
	for _, service := range services {
		rules = append(rules, newTrigger(runbook, forService(promql, service), "", services, service))
	}
	return rules
}

func newTrigger(runbook jenner.Runbook, promql, follows string, selected []string, service string) *rule {
	about := service
	if about == "" && len(selected) > 0 {
		about = selected[0]
	}
	return &rule{
		kind: jenner.AlertTrigger, service: service, selected: selected, name: runbook.Name, about: about,
		promql: promql, follows: follows, hold: runbook.Trigger.For.Std(), severity: jenner.SeverityPage,
		summary: "the trigger of runbook " + runbook.Name + " holds: " + runbook.Trigger.Alert,
	}
}

// selected are the services that a policy with this runbook picks, each once.
func selected(docs *jenner.Documents, runbook string) []string {
	var names []string
	for _, service := range docs.Services {
		for _, policy := range docs.Policies {
			if contains(policy.Runbooks, runbook) && policy.Services.Picks(service) {
				names = append(names, service.Name)
				break
			}
		}
	}
	return names
}

func contains(list []string, wanted string) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}

// evaluate looks at one rule now. As in Prometheus, a series must hold at every look for the rule's `for` before it
// fires, and a comparison that is false resolves. Unlike there, missing data does not resolve: a firing alert stays as
// it is, and is not refreshed; a pending one stays pending until its `for` is over, and is then forgotten.
func (e *Engine) evaluate(ctx context.Context, r *rule) {
	now := e.now()
	switch {
	case r.follows != "":
		e.follow(r, now)
		return
	case r.of != nil && r.of.written.Record != "":
		e.evaluateRecord(ctx, r)
		return
	}
	defer e.recordAlerts(r, now)
	ctx = jenner.Asking(ctx, jenner.Question{Service: r.about})
	if r.server == "" { // a server has a timeout of its own
		limited, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		ctx = limited
	}
	answer, err := e.telemetry.Query(ctx, r.promql)
	if err != nil {
		r.clear = false
		e.couldNotAsk(r, err)
		r.noData(now)
		return
	}
	active, undecided, err := e.hold(ctx, r, answer, now)
	if err == nil && len(active) == 0 && e.mayRelease(r) {
		// No series holds: either the comparison is false, or there was nothing to compare.
		var has bool
		has, err = e.decided(ctx, r)
		switch {
		case err == nil && !has:
			r.clear = false
			r.noData(now)
			return
		case err == nil && r.server != "" && !r.clear:
			// Between the two questions the server may have got its data back: what fires is resolved when it is clear twice.
			r.clear = true
			clear(r.pending)
			return
		}
	}
	r.clear = err == nil && len(active) == 0
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the rule is not looked at any more
	}
	if err != nil {
		e.couldNotAsk(r, err)
		r.noData(now)
		return
	}
	r.failing = false
	e.release(ctx, r, active, undecided, now)
}

// decided tells whether a rule that holds for nothing was evaluated over data.
func (e *Engine) decided(ctx context.Context, r *rule) (bool, error) {
	if r.of != nil {
		return e.complete(ctx, r.promql, e.recorded)
	}
	return e.hasData(ctx, r.promql)
}

// mayRelease tells whether there is anything that would be released if the rule held for nothing.
func (e *Engine) mayRelease(r *rule) bool {
	return len(r.pending) > 0 || slices.ContainsFunc(e.firingFor(r), r.owns)
}

// firingFor are the alerts on the board among which a rule's own are. The board is asked, not a memory of the engine's own, so
// that alerts from before a restart are resolved too.
func (e *Engine) firingFor(r *rule) []jenner.Alert {
	if r.service != "" {
		return e.board.Firing(r.service)
	}
	return e.board.AllFiring()
}

func (e *Engine) couldNotAsk(r *rule, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if !r.failing { // once for each time it breaks, not at each look
		e.log.Warn("detect: a rule could not be evaluated, which counts as no data; check its PromQL and the telemetry",
			"alert", r.name, "service", r.service, "error", err)
	}
	r.failing = true
}

// noData forgets what has been pending for its whole `for`: it cannot fire without data, and an old beginning must not
// make it fire at once when data comes back.
func (r *rule) noData(now time.Time) {
	for fingerprint, since := range r.pending {
		if now.Sub(since) >= r.hold {
			delete(r.pending, fingerprint)
		}
	}
}

// hold takes the series that the expression holds for. A series without a number (0/0) is undecided: there is no data
// in it, so it is neither held nor released.
func (e *Engine) hold(ctx context.Context, r *rule, answer jenner.Answer, now time.Time) (active, undecided map[string]bool, err error) {
	active, undecided = map[string]bool{}, map[string]bool{}
	var alerts []jenner.Alert
	for _, sample := range answer.Samples {
		alert, ours := e.alertOf(ctx, r, sample, now)
		switch {
		case !ours:
		case math.IsNaN(sample.Value):
			undecided[alert.Fingerprint] = true
		case r.of != nil && active[alert.Fingerprint]:
			return nil, nil, fmt.Errorf("two series give the same alert, %s; its labels must tell them apart", labelText(alert.Labels))
		default:
			active[alert.Fingerprint] = true
			alerts = append(alerts, alert)
		}
	}
	if r.of != nil && r.of.limit > 0 && len(alerts) > r.of.limit {
		return nil, nil, fmt.Errorf("it holds for %d series, and the limit of its group is %d", len(alerts), r.of.limit)
	}
	for _, alert := range alerts {
		e.raise(r, alert, now)
	}
	return active, undecided, nil
}

// alertOf is the alert of one series, as it would fire now; false where it is nobody's.
func (e *Engine) alertOf(ctx context.Context, r *rule, sample jenner.Sample, now time.Time) (jenner.Alert, bool) {
	if r.of != nil {
		return e.catalogueAlert(ctx, r, sample, now)
	}
	service, ours := e.serviceOf(r, sample)
	if !ours {
		return jenner.Alert{}, false
	}
	return r.alert(service, sample, now), true
}

// raise puts an alert on the board that fires already, or whose `for` is over; else it stays pending.
func (e *Engine) raise(r *rule, alert jenner.Alert, now time.Time) {
	if before, known := e.board.Get(alert.Fingerprint); known && before.Status == jenner.Firing {
		e.board.Put(alert)
		return
	}
	since, pending := r.pending[alert.Fingerprint]
	if !pending {
		since = now
		r.pending[alert.Fingerprint] = now
	}
	if now.Sub(since) >= r.hold {
		delete(r.pending, alert.Fingerprint)
		e.countNobody(alert)
		e.board.Put(alert)
	}
}

// follow evaluates a trigger that names another alert: it fires while that one does, about the same target, and was
// seen when that one was seen.
func (e *Engine) follow(r *rule, now time.Time) {
	active := map[string]bool{}
	for _, leader := range e.board.AllFiring() {
		service, known := e.docs.Service(leader.Service)
		if leader.Name != r.follows || leader.Kind == jenner.AlertTrigger || !known {
			continue
		}
		alert := r.alert(service, jenner.Sample{Labels: leader.Labels, Value: leader.Value}, now)
		alert.Target, alert.SeenAt, alert.Summary = leader.Target, leader.SeenAt, r.summary+": "+leader.Summary
		active[alert.Fingerprint] = true
		e.raise(r, alert, now)
	}
	e.release(context.Background(), r, active, nil, now)
}

// release lets go of what the expression holds for no more.
func (e *Engine) release(ctx context.Context, r *rule, active, undecided map[string]bool, now time.Time) {
	for fingerprint, since := range r.pending {
		waiting := undecided[fingerprint] && now.Sub(since) < r.hold // as noData has it
		if !active[fingerprint] && !waiting {
			delete(r.pending, fingerprint)
		}
	}
	for _, alert := range e.firingFor(r) {
		if !r.owns(alert) || active[alert.Fingerprint] || undecided[alert.Fingerprint] || e.unseen(ctx, r, alert) {
			continue
		}
		if r.of.over(alert.Fingerprint, now) {
			alert.Status, alert.SeenAt = jenner.Resolved, now
			e.board.Put(alert)
		}
	}
	r.of.holds(active)
}

// unseen tells whether an alert is about an instance that is known to be down: its series has ended with it, which says nothing.
// Where nobody knows of the instance any more, it is gone for good.
func (e *Engine) unseen(ctx context.Context, r *rule, alert jenner.Alert) bool {
	instance, by := alert.Labels["instance"], "service"
	if instance == "" || r.follows != "" {
		return false
	}
	if r.server != "" {
		by = "job"
	}
	matchers := fmt.Sprintf("instance=%q", instance)
	if origin := alert.Labels[by]; origin != "" {
		matchers += fmt.Sprintf(",%s=%q", by, origin)
	}
	answer, err := e.telemetry.Query(ctx, "up{"+matchers+"} == 0")
	if err != nil {
		e.couldNotAsk(r, err)
	}
	return err != nil || !answer.NoData()
}

// serviceOf tells whose alert a series would be; false where it is nobody's, or another service's. In the numbers of a server
// the label service may mean something else, such as a Service of Kubernetes: of a rule about one service, only the name of
// another one that is known here tells that a series is not about that one.
func (e *Engine) serviceOf(r *rule, sample jenner.Sample) (jenner.Service, bool) {
	written, labelled := sample.Labels["service"]
	_, another := e.docs.Service(written)
	switch {
	case r.service != "" && labelled && written != r.service && (another || r.server == ""):
		return jenner.Service{}, false
	case r.service != "":
		written = r.service
	case !labelled && len(r.selected) == 1:
		written = r.selected[0]
	case !labelled:
		e.warnOnce("a runbook's trigger holds, but nothing says for which service; "+
			"keep the label `service` in its PromQL, or let its policies select exactly one service",
			"runbook", r.name, "selected", strings.Join(r.selected, ", "))
		return jenner.Service{}, false
	}
	service, known := e.docs.Service(written)
	if !known {
		e.warnOnce("a runbook's trigger holds for a service that no document describes; it is passed over",
			"runbook", r.name, "service", written)
	}
	return service, known
}

// alert is the alert of one series, as it would fire now.
func (r *rule) alert(service jenner.Service, sample jenner.Sample, now time.Time) jenner.Alert {
	labels := map[string]string{}
	for name, value := range sample.Labels {
		if name != "__name__" {
			labels[name] = value
		}
	}
	if theirs := labels["service"]; theirs != "" && theirs != service.Name {
		labels["exported_service"] = theirs
	}
	labels["service"] = service.Name
	summary := r.summary
	if summary == "" {
		summary = fmt.Sprintf("%s of %s: %s is %g", r.name, service.Name, r.promql, sample.Value)
	}
	return jenner.Alert{
		Fingerprint: seriesFingerprint(r, service.Name, labels),
		Name:        r.name, Kind: r.kind, Service: service.Name, Target: firstTarget(service),
		Status: jenner.Firing, Severity: r.severity, StartsAt: now, SeenAt: now,
		Summary: summary, Labels: labels, Value: sample.Value,
	}
}

func seriesFingerprint(r *rule, service string, labels map[string]string) string {
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	sort.Strings(names)
	parts := []string{string(r.kind), service, r.name}
	for _, name := range names {
		parts = append(parts, name, labels[name])
	}
	return jenner.Fingerprint(parts...)
}
