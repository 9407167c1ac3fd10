package report_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/report"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }

func entry(second float64, phase jenner.Phase, kind, text string, data any) jenner.Entry {
	e := jenner.Entry{At: at(second), Phase: phase, Kind: kind, Text: text}
	if data != nil {
		e.Data = jenner.Raw(data)
	}
	return e
}

// timeline is what a drill of two rounds writes: the first with a control arm and proven, the second without effect.
func timeline() []jenner.Entry {
	fault := func(second float64) jenner.FaultRecord {
		return jenner.FaultRecord{ID: "f", Fault: "process.kill", Target: jenner.Target{Kind: "process", Name: "shop"}, InjectedAt: at(second)}
	}
	proven := jenner.DrillResult{Experiment: "killed", Verdict: jenner.VerdictProven, Reasons: []string{"healed by <restart> & co"}, Cause: "crashed",
		Runbook: "restart", Target: "shop", DetectedMS: 250, ActedMS: 300, RecoveredMS: 2000, Measured: map[string]float64{"orders_lost": 7}}
	toothless := jenner.DrillResult{Experiment: "killed", Verdict: jenner.VerdictNoEffect, Reasons: []string{"no witness saw the fault work"},
		DetectedMS: -1, ActedMS: -1, RecoveredMS: -1}
	arm := jenner.ControlArm{Done: true, Bit: true, StayedBroken: true, Note: "still broken after 3 s"}
	return []jenner.Entry{
		entry(0, "preflight", "drill", "it is started again", nil),
		entry(1, "preflight", "phase", "preflight → baseline", nil),
		entry(2, "baseline", "phase", "baseline → control", nil),
		entry(2.1, "control", "inject", "process.kill on process/shop (control arm)", fault(2.05)),
		entry(3, "control", "control", "broken: shop is down", nil),
		entry(6, "control", "control", arm.Note, arm),
		entry(6.1, "control", "undo", "process.kill on process/shop is gone", nil),
		entry(10, "control", "phase", "control → inject", nil),
		entry(10.6, "inject", "inject", "process.kill on process/shop (treatment arm)", fault(10.5)),
		entry(10.6, "inject", "phase", "inject → bite", nil),
		entry(10.7, "bite", "bite", "pid 7 is gone", nil),
		entry(10.7, "bite", "phase", "bite → observe", nil),
		entry(13, "undo", "undo", "process.kill on process/shop is gone", nil),
		entry(14, "prove-undone", "verdict", "PROVEN: healed", proven),
		entry(14, "prove-undone", "phase", "prove-undone → preflight", nil),
		entry(20, "inject", "inject", "process.kill on process/shop (treatment arm)", fault(20)),
		entry(25, "bite", "bite", "no witness saw the fault work", nil),
		entry(25, "bite", "phase", "bite → undo", nil),
		entry(25.1, "undo", "undo", "process.kill on process/shop is gone", nil),
		entry(26, "prove-undone", "verdict", "NO_EFFECT: nothing", toothless),
		entry(26, "prove-undone", "phase", "prove-undone → verdict", nil),
	}
}

func experiment() jenner.Experiment {
	return jenner.Experiment{Name: "killed", Hypothesis: `it is started again, says "ann"`, Service: "shop", Repeat: 2,
		Faults: []jenner.FaultSpec{{Fault: "kill", Target: "shop", Params: jenner.Params{"signal": jenner.Raw("KILL")}}},
		Expect: jenner.Expectation{Cause: "crashed", RecoveredWithin: jenner.Duration(5 * time.Second)}}
}

// full is a report with two drills: one as the timeline says, and one that was broken off.
func full() report.Report {
	drill := jenner.Drill{ID: "d-1", Experiment: experiment(), StartedAt: at(14)}
	rounds := report.Rounds(drill, timeline())
	below := 0.25
	for i := range rounds {
		course := report.Series{}
		for from := rounds[i].StartedAt; from.Before(rounds[i].EndedAt); from = from.Add(100 * time.Millisecond) {
			course.Points = append(course.Points, report.Point{At: from, Value: 0.1})
		}
		rounds[i].Panels = []report.Panel{{Title: "latency of shop <b>", Series: []report.Series{course}, Below: &below},
			{Title: "probe ready of shop", Unit: "s", Series: []report.Series{course}, Failed: []report.Span{{From: at(11), To: at(12)}}}}
	}
	decision := jenner.Decision{At: at(10.8), Outcome: jenner.DecideAct, Runbook: "restart",
		Guards: []jenner.GuardResult{{Guard: "hold", Outcome: jenner.DecideAct}, {Guard: "cooldown", Outcome: jenner.DecideWait, Reason: "it rests"}}}
	rounds[0].Incidents = []report.Incident{{Incident: jenner.Incident{ID: "i-1", Service: "shop", Outcome: "restart healed it"}, Phase: jenner.PhaseResolved,
		Timeline: []jenner.Entry{entry(10.75, "detected", "alert", "shop is gone <script>alert(1)</script>", nil),
			entry(10.8, "planned", jenner.EntryDecision, "act", decision), entry(10.8, "planned", jenner.EntryScene, "3 alerts", nil)}}}
	rounds[1].Result.Stage = "staging"
	rounds[1].Result.Invariants = []jenner.Reading{{Name: "orders", Before: "7", After: "9", Broken: "9 is 2 more than 7"}, {Name: "sum", Before: "a", After: "a"},
		{Name: "rows", Missing: "nobody answers"}}
	overall := jenner.Overall{Verdict: jenner.VerdictNoEffect, Rounds: 2, Proven: 1, Recovered: jenner.Spread{Count: 1, Min: 2000, P50: 2000, P90: 2000, Max: 2000}}
	other := experiment()
	other.Stages = []jenner.Stage{{Name: "first", Service: "shop-staging", Share: 0.1, SteadyFor: jenner.Duration(time.Minute)}}
	other.Faults = []jenner.FaultSpec{{Fault: "hang", Of: "shop", Pick: jenner.Pick{Share: 0.25}, After: jenner.Duration(3 * time.Second)}}
	other.Name, other.Repeat = "hung", 0
	return report.Report{At: at(60), Version: "dev", Drills: []report.Drill{
		{ID: "d-1", Experiment: experiment(), Overall: overall, Expected: jenner.VerdictProven, StartedAt: at(0), EndedAt: at(26), Rounds: rounds,
			Versions: map[string]string{"runbook": "abc123"}},
		{ID: "d-2", Experiment: other, Expected: jenner.VerdictProven, StartedAt: at(30), EndedAt: at(40)}}}
}

func TestRounds(t *testing.T) {
	rounds := report.Rounds(jenner.Drill{StartedAt: at(14)}, timeline())
	if len(rounds) != 2 {
		t.Fatalf("%d rounds", len(rounds))
	}
	one, two := rounds[0], rounds[1]
	for what, c := range map[string][2]time.Time{
		"the start": {one.StartedAt, at(0)}, "the injection": {one.InjectedAt, at(10.5)}, "the bite": {one.BitAt, at(10.7)},
		"the undo": {one.UndoneAt, at(13)}, "the end": {one.EndedAt, at(14)},
		"the injection of the control arm": {one.Control.InjectedAt, at(2.05)}, "the undo of the control arm": {one.Control.UndoneAt, at(6.1)},
		"the start of the second": {two.StartedAt, at(14)}, "the injection of the second": {two.InjectedAt, at(20)},
		"the bite of the second, which there was none": {two.BitAt, time.Time{}},
	} {
		if !c[0].Equal(c[1]) {
			t.Errorf("%s was at %s, not at %s", what, c[0], c[1])
		}
	}
	if one.Result.Verdict != jenner.VerdictProven || !one.Control.StayedBroken || one.Witness != "pid 7 is gone" || len(one.Faults) != 1 || two.Control != nil {
		t.Errorf("the rounds are %+v", rounds)
	}
	var marks []string
	for _, mark := range one.Marks() {
		marks = append(marks, fmt.Sprintf("%s %.2f", mark.Kind, mark.At.Sub(one.InjectedAt).Seconds()))
	}
	if got, want := strings.Join(marks, ", "), "fault 0.00, bite 0.20, detection 0.25, action 0.30, recovery 2.00, undo 2.50"; got != want {
		t.Errorf("the marks are %s, not %s", got, want)
	}
	if broken := report.Rounds(jenner.Drill{}, timeline()[:5]); len(broken) != 0 {
		t.Errorf("what was broken off is %d rounds", len(broken))
	}
}

// TestJUnit reads the XML with types of its own, as a reader of JUnit XML does.
func TestJUnit(t *testing.T) {
	raw, err := full().JUnit()
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	var suites struct {
		XMLName  xml.Name
		Tests    int     `xml:"tests,attr"`
		Failures int     `xml:"failures,attr"`
		Errors   int     `xml:"errors,attr"`
		Time     float64 `xml:"time,attr"`
		Suites   []struct {
			Name       string  `xml:"name,attr"`
			Tests      int     `xml:"tests,attr"`
			Failures   int     `xml:"failures,attr"`
			Time       float64 `xml:"time,attr"`
			Timestamp  string  `xml:"timestamp,attr"`
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
			Cases []struct {
				Name      string   `xml:"name,attr"`
				Classname string   `xml:"classname,attr"`
				Time      float64  `xml:"time,attr"`
				Failure   *outcome `xml:"failure"`
				Error     *outcome `xml:"error"`
				Out       string   `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(raw, &suites); err != nil || suites.XMLName.Local != "testsuites" {
		t.Fatalf("%v %s\n%s", err, suites.XMLName.Local, raw)
	}
	if suites.Tests != 3 || suites.Failures != 1 || suites.Errors != 1 || suites.Time != 36 || len(suites.Suites) != 2 {
		t.Fatalf("%d tests, %d failures, %d errors in %f s, %d suites", suites.Tests, suites.Failures, suites.Errors, suites.Time, len(suites.Suites))
	}
	suite := suites.Suites[0]
	if suite.Name != "killed" || suite.Tests != 2 || suite.Failures != 1 || suite.Time != 26 || suite.Timestamp != "2026-03-01T12:00:00" {
		t.Errorf("the suite is %+v", suite)
	}
	properties := map[string]string{}
	for _, property := range suite.Properties {
		properties[property.Name] = property.Value
	}
	if properties["hypothesis"] != `it is started again, says "ann"` || properties["fault"] != "kill on shop" || properties["version of runbook"] != "abc123" {
		t.Errorf("the properties are %q", properties)
	}
	good, bad := suite.Cases[0], suite.Cases[1]
	if good.Name != "round 1" || good.Classname != "killed" || good.Time != 14 || good.Failure != nil || !strings.Contains(good.Out, "+2.00 s recovery") {
		t.Errorf("the first round is %+v", good)
	}
	if bad.Name != "round 2, stage staging" || bad.Failure == nil || bad.Failure.Message != "expected PROVEN, came out NO_EFFECT" || bad.Failure.Type != "NO_EFFECT" ||
		!strings.Contains(bad.Failure.Text, "no witness") {
		t.Errorf("the second round failed by %+v", bad.Failure)
	}
	if off := suites.Suites[1].Cases[0]; off.Error == nil || off.Failure != nil {
		t.Errorf("what was broken off is %+v", off)
	}
}

// TestJUnitCanBeReadWhateverWasSaid: XML knows no control characters, and a message may hold them.
func TestJUnitCanBeReadWhateverWasSaid(t *testing.T) {
	all := full()
	all.Drills[0].Rounds[1].Result.Reasons = []string{"\x1b[31mred\x00\uffff]]> & <tag>"}
	raw, err := all.JUnit()
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(string(raw)))
	for err == nil {
		_, err = decoder.Token()
	}
	if err.Error() != "EOF" || strings.Contains(string(raw), "\ufffd") || !strings.Contains(string(raw), "[31mred]]&gt; &amp; &lt;tag&gt;") {
		t.Errorf("%v\n%s", err, raw)
	}
}

func TestJSON(t *testing.T) {
	raw, err := full().JSON()
	if err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Drills) != 2 || back.Drills[0].Rounds[0].Result.RecoveredMS != 2000 || len(back.Drills[0].Rounds[0].Panels) != 2 ||
		back.Drills[0].AsExpected() || back.Drills[1].AsExpected() {
		t.Errorf("it reads back as %+v", back)
	}
}

var (
	elsewhere = regexp.MustCompile(`(?i)(src|href|action|data)\s*=\s*["']?(https?:)?//|@import|url\(`)
	scripted  = regexp.MustCompile(`(?i)<script|\son[a-z]+\s*=`)
)

// TestThePageNeedsNothingButItself: nothing is fetched from anywhere, nothing runs, and what somebody wrote stays text.
func TestThePageNeedsNothingButItself(t *testing.T) {
	raw, err := full().HTML()
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	if found := elsewhere.FindString(page); found != "" {
		t.Errorf("the page asks elsewhere: %s", found)
	}
	if found := scripted.FindString(page); found != "" {
		t.Errorf("something runs in the page: %s", found)
	}
	for _, text := range []string{"prefers-color-scheme: dark", "0 of 2", "it is started again, says", "PROVEN", "NO_EFFECT", "was broken off before a verdict",
		"healed by &lt;restart&gt; &amp; co", "latency of shop &lt;b&gt;", "shop is gone &lt;script&gt;", "still broken after 3 s", "orders_lost",
		"recovery &#43;2.00 s", "cooldown", "it rests", "abc123", "signal KILL", "1 of 2 PROVEN", "9 of 10 within", "stage staging", "9 is 2 more than 7", "held", "nobody answers",
		"first · on shop-staging · 10% of the targets · then steady for 1m", "25% of shop", "after 3s", "probe ready of shop, ms", `class="failed"`, `class="bound"`} {
		if !strings.Contains(page, text) && !strings.Contains(page, strings.ReplaceAll(text, "&#43;", "+")) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if strings.Contains(page, "3 alerts") {
		t.Error("the page shows a scene, which is for machines")
	}
}
