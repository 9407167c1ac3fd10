package detect

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

// catalogue is a document with one group.
func catalogue(group jenner.RuleGroup, rules ...jenner.GroupRule) *jenner.Documents {
	if group.Name == "" {
		group.Name = "g"
	}
	group.Rules = rules
	return &jenner.Documents{
		Services:   []jenner.Service{{Name: "shop", Targets: []jenner.Target{{Kind: "deployment", Name: "web"}}}},
		Catalogues: []jenner.Catalogue{{Name: "kube", Groups: []jenner.RuleGroup{group}}},
		Mappings: []jenner.Mapping{{Name: "m", Rules: []jenner.MappingRule{
			{Match: map[string]string{"namespace": "shop"}, Service: "shop"}, {Match: map[string]string{"alertname": "Quiet"}, Ignore: true}}}},
	}
}

// often are rules that are looked at with each step.
var often = jenner.RuleGroup{Interval: jenner.Duration(DefaultEvery)}

// all are the firing alerts as SERVICE/NAME{labels but the name}: summary.
func all(b *Board) []string {
	list := []string{}
	for _, alert := range b.AllFiring() {
		labels := maps.Clone(alert.Labels)
		delete(labels, "alertname")
		list = append(list, fmt.Sprintf("%s/%s%s: %s", alert.Service, alert.Name, labelText(labels), alert.Summary))
	}
	return list
}

func TestAnAlertOfACatalogue(t *testing.T) {
	b := newBench(catalogue(often, jenner.GroupRule{Alert: "CrashLooping", Expr: "waiting > 0",
		Labels:      map[string]string{"severity": "critical", "pod": "", "what": "{{ $labels.pod }}!"},
		Annotations: map[string]string{"summary": "Pod is crash looping.", "description": "{{ $labels.pod }}\n waits {{ $value | humanizePercentage }}"}}))
	b.world.say("waiting > 0", holds, "__name__", "waiting", "namespace", "shop", "pod", "web-1", "service", "kube-state-metrics")
	b.step()
	want := []string{`shop/CrashLooping{namespace="shop", service="kube-state-metrics", severity="critical", what="web-1!"}: ` +
		"Pod is crash looping. – web-1 waits 100%"}
	if diff := cmp.Diff(want, all(b.board)); diff != "" {
		t.Error(diff)
	}
	alert := b.board.AllFiring()[0]
	if alert.Severity != jenner.SeverityPage || alert.Target.String() != "deployment/web" || alert.Kind != jenner.AlertRule ||
		alert.Value != 1 || alert.Labels["alertname"] != "CrashLooping" {
		t.Errorf("got %+v", alert)
	}
	b.world.say("waiting > 0", isFalse)
	b.step()
	same(t, "firing", names(b.board.AllFiring()), []string{})
}

func TestSeveritiesOfCatalogues(t *testing.T) {
	for severity, want := range map[string]jenner.Severity{"critical": jenner.SeverityPage, "page": jenner.SeverityPage, "Critical": jenner.SeverityPage,
		"warning": jenner.SeverityTicket, "info": jenner.SeverityTicket, "": jenner.SeverityTicket} {
		if got := severityOf(map[string]string{"severity": severity}); got != want {
			t.Errorf("%q is a %s, want a %s", severity, got, want)
		}
	}
}

// Two rules of one name, told apart by their labels or by nothing but their expressions: neither resolves what the other says.
func TestRulesOfOneName(t *testing.T) {
	rule := func(expr, severity string) jenner.GroupRule {
		return jenner.GroupRule{Alert: "FillingUp", Expr: expr, Labels: map[string]string{"severity": severity}}
	}
	b := newBench(catalogue(often, rule("free < 15", "warning"), rule("free < 3", "critical"), rule("used > 90", "critical")))
	for _, expr := range []string{"free < 15", "free < 3", "used > 90"} {
		b.world.say(expr, holds, "namespace", "shop")
	}
	b.step()
	b.step()
	same(t, "firing", names(b.board.AllFiring()), []string{"shop/FillingUp", "shop/FillingUp", "shop/FillingUp"})
	b.world.say("free < 3", isFalse)
	b.step()
	same(t, "firing", names(b.board.AllFiring()), []string{"shop/FillingUp", "shop/FillingUp"})
	for _, alert := range b.board.AllFiring() {
		if strings.Contains(alert.Summary, "free < 3") {
			t.Errorf("%+v fires on", alert)
		}
	}
}

func TestForAndKeepFiringFor(t *testing.T) {
	b := newBench(catalogue(often, jenner.GroupRule{Alert: "A", Expr: "a > 0", For: jenner.Duration(time.Second), KeepFiringFor: jenner.Duration(2 * time.Second)}))
	b.world.say("a > 0", holds, "namespace", "shop")
	steps := func(n int) {
		for range n {
			b.step()
		}
	}
	steps(4)
	same(t, "pending", names(b.board.AllFiring()), []string{})
	steps(1)
	same(t, "firing", names(b.board.AllFiring()), []string{"shop/A"})
	seen := b.board.AllFiring()[0].SeenAt
	b.world.say("a > 0", isFalse)
	steps(8)
	kept := b.board.AllFiring()
	same(t, "kept firing", names(kept), []string{"shop/A"})
	if !kept[0].SeenAt.Equal(seen) {
		t.Error("an alert that only keeps firing was seen to fire, so that something could be done")
	}
	b.world.say("a > 0", holds, "namespace", "shop") // it begins anew
	steps(1)
	b.world.say("a > 0", isFalse)
	steps(8)
	same(t, "kept firing", names(b.board.AllFiring()), []string{"shop/A"})
	steps(1)
	same(t, "firing", names(b.board.AllFiring()), []string{})
}

func TestWhatAGroupRefuses(t *testing.T) {
	two := []jenner.Sample{{Labels: map[string]string{"namespace": "shop", "pod": "a"}, Value: 1}, {Labels: map[string]string{"namespace": "shop", "pod": "b"}, Value: 1}}
	for name, test := range map[string]struct {
		group jenner.RuleGroup
		rule  jenner.GroupRule
		want  string
	}{
		"a limit":   {jenner.RuleGroup{Limit: 1}, jenner.GroupRule{}, "the limit of its group is 1"},
		"two alike": {jenner.RuleGroup{}, jenner.GroupRule{Labels: map[string]string{"pod": ""}}, "two series give the same alert"},
	} {
		t.Run(name, func(t *testing.T) {
			test.rule.Alert, test.rule.Expr = "A", "a > 0"
			b := newBench(catalogue(test.group, test.rule))
			b.world.mu.Lock()
			b.world.answers["a > 0"] = two
			b.world.mu.Unlock()
			b.step()
			if len(b.board.AllFiring()) > 0 || !strings.Contains(b.log.String(), test.want) {
				t.Errorf("firing %v; the log:\n%s", names(b.board.AllFiring()), b.log)
			}
		})
	}
}

// An alert that is nobody's is on the board, is counted, and is told once.
func TestAlertsThatAreNobodys(t *testing.T) {
	b := newBench(catalogue(often, jenner.GroupRule{Alert: "Lost", Expr: "lost > 0"}, jenner.GroupRule{Alert: "Quiet", Expr: "quiet > 0"}))
	b.world.say("quiet > 0", holds)
	for _, pod := range []string{"a", "b"} {
		b.world.say("lost > 0", holds, "pod", pod)
		b.step()
		b.step()
	}
	same(t, "firing", names(b.board.AllFiring()), []string{"/Lost"})
	if n := strings.Count(b.log.String(), "is no service's"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
	if unmapped, ignored := b.Nobody(); unmapped != 2 || ignored != 1 {
		t.Errorf("%d unmapped and %d ignored, want 2 and 1", unmapped, ignored)
	}
	b.Set(catalogue(often, jenner.GroupRule{Alert: "Lost", Expr: "lost > 0"}))
	same(t, "after a change of something else", names(b.board.AllFiring()), []string{"/Lost"})
	b.Set(&jenner.Documents{})
	same(t, "after the rule is gone", names(b.board.AllFiring()), []string{})
}

// After a restart, and after a reload that changes whose it is, an alert is still its rule's.
func TestAnAlertIsItsRulesAfterARestart(t *testing.T) {
	docs := catalogue(often, jenner.GroupRule{Alert: "A", Expr: "a > 0"})
	b := newBench(docs)
	b.world.say("a > 0", holds, "namespace", "shop")
	b.step()
	after := newBench(docs)
	after.board.Restore(b.board.AllFiring())
	after.Set(docs)
	same(t, "restored", names(after.board.AllFiring()), []string{"shop/A"})
	after.world.say("a > 0", noData)
	after.step()
	same(t, "without data", names(after.board.AllFiring()), []string{"shop/A"})
	after.world.say("a > 0", isFalse)
	after.step()
	same(t, "when it is over", names(after.board.AllFiring()), []string{})

	other := catalogue(often, jenner.GroupRule{Alert: "A", Expr: "a > 0"})
	other.Mappings = nil
	b.Set(other)
	b.step()
	same(t, "mapped otherwise", names(b.board.AllFiring()), []string{"/A"})
}

// A rule of a catalogue reads metrics that are there only while something is wrong: it is told apart from missing data.
func TestSilenceResolvesWhereItIsComplete(t *testing.T) {
	b := newBench(catalogue(often, jenner.GroupRule{Alert: "A", Expr: "rec:a > 0"}, jenner.GroupRule{Record: "rec:a", Expr: "sum(a)"}))
	complete := false
	b.complete = func(_ context.Context, promql string, recorded map[string]string) (bool, error) {
		if promql != "rec:a > 0" || recorded["rec:a"] != "sum(a)" {
			t.Errorf("asked about %s, %v", promql, recorded)
		}
		return complete, nil
	}
	b.world.say("rec:a > 0", holds, "namespace", "shop")
	b.step()
	b.world.say("rec:a > 0", noData)
	b.step()
	same(t, "incomplete", names(b.board.AllFiring()), []string{"shop/A"})
	complete = true
	b.step()
	same(t, "complete", names(b.board.AllFiring()), []string{})
}

func TestTemplatesThatFail(t *testing.T) {
	b := newBench(catalogue(often, jenner.GroupRule{Alert: "A", Expr: "a > 0", Annotations: map[string]string{
		"summary": "{{ with query \"b\" }}{{ . | first | value }}{{ end }} and {{ query \"broken\" }}"}}))
	b.world.say("broken", noAnswer)
	b.world.value("b", 7)
	b.world.say("a > 0", holds)
	b.step()
	if got := all(b.board); len(got) != 1 || !strings.Contains(got[0], "<error expanding template: ") || !strings.Contains(got[0], "telemetry is away") {
		t.Errorf("got %v", got)
	}
}

// recorder keeps what was recorded.
type recorder struct {
	mu      sync.Mutex
	samples []jenner.Sample
}

func (r *recorder) record(samples ...jenner.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, samples...)
	return nil
}

// taken are the samples as NAME{labels} VALUE, and forgets them.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []string{}
	for _, sample := range r.samples {
		name := sample.Labels["__name__"]
		value := fmt.Sprint(sample.Value)
		if math.IsNaN(sample.Value) {
			value = "ended"
		}
		labels := map[string]string{}
		for label, text := range sample.Labels {
			if label != "__name__" {
				labels[label] = text
			}
		}
		list = append(list, fmt.Sprintf("%s%s %s", name, labelText(labels), value))
	}
	r.samples = nil
	return list
}

func TestRecordingRules(t *testing.T) {
	b := newBench(&jenner.Documents{})
	kept := &recorder{}
	b.record = kept.record
	b.Set(catalogue(jenner.RuleGroup{Interval: jenner.Duration(DefaultEvery), Labels: map[string]string{"team": "shop", "of": "group"}},
		jenner.GroupRule{Record: "level:a:sum", Expr: "sum(a)", Labels: map[string]string{"of": "rule", "pod": ""}},
		jenner.GroupRule{Alert: "A", Expr: "level:a:sum > 1", Labels: map[string]string{"severity": "info"}}))
	b.world.say("sum(a)", holds, "__name__", "a", "pod", "x", "namespace", "shop")
	b.world.say("level:a:sum > 1", holds, "namespace", "shop")
	b.step()
	same(t, "recorded", kept.taken(), []string{
		`level:a:sum{namespace="shop", of="rule", team="shop"} 1`,
		`ALERTS{alertname="A", alertstate="firing", namespace="shop", of="group", severity="info", team="shop"} 1`})
	b.world.say("sum(a)", isFalse)
	b.world.say("level:a:sum > 1", isFalse)
	b.step()
	same(t, "ended", kept.taken(), []string{
		`level:a:sum{namespace="shop", of="rule", team="shop"} ended`,
		`ALERTS{alertname="A", alertstate="firing", namespace="shop", of="group", severity="info", team="shop"} ended`})
	b.world.say("sum(a)", noAnswer)
	b.step()
	same(t, "nothing", kept.taken(), []string{})
}

// Where a server is asked, its own recording rules have recorded already, and it is said.
func TestRecordingRulesOfAServerAreLeftToIt(t *testing.T) {
	b := newBench(&jenner.Documents{})
	kept := &recorder{}
	b.record = kept.record
	docs := catalogue(often, jenner.GroupRule{Record: "level:a:sum", Expr: "sum(a)"})
	docs.Prometheus = []jenner.Prometheus{{Name: "main", URL: "http://localhost:9090", Default: true}}
	b.Set(docs)
	b.world.say("sum(a)", holds)
	b.look(t.Context())
	b.endLanes()
	if len(kept.taken()) > 0 || !strings.Contains(b.log.String(), "the server must evaluate them") {
		t.Errorf("the log:\n%s", b.log)
	}
}

func TestHowOftenGroupsAreEvaluated(t *testing.T) {
	for name, test := range map[string]struct {
		interval time.Duration
		records  bool
		remote   bool
		want     time.Duration
	}{
		"own":                  {want: DefaultGroupEvery},
		"own, said":            {interval: time.Minute, want: time.Minute},
		"own, recording":       {records: true, want: recordEvery},
		"own, recording, slow": {records: true, interval: time.Minute, want: recordEvery},
		"own, recording, fast": {records: true, interval: time.Second, want: time.Second},
		"server":               {remote: true, want: 7 * time.Second},
		"server, said":         {remote: true, records: true, interval: time.Minute, want: time.Minute},
	} {
		of := &catalogued{interval: test.interval, records: test.records}
		if got := of.every(test.remote, 7*time.Second); got != test.want {
			t.Errorf("%s: every %s, want %s", name, got, test.want)
		}
	}
}
