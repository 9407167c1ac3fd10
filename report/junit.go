package report

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// The elements of JUnit XML, in the form that Jenkins, GitLab and GitHub read. The attributes are those of
// https://github.com/testmoapp/junitxml; times are seconds.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		ID         int             `xml:"id,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string     `xml:"name,attr"`
		Classname string     `xml:"classname,attr"`
		Time      string     `xml:"time,attr"`
		Failure   *junitSaid `xml:"failure"`
		Error     *junitSaid `xml:"error"`
		Out       string     `xml:"system-out,omitempty"`
	}
	junitSaid struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit is the report as JUnit XML: a suite for each experiment and a case for each round, which fails where the verdict
// is not the expected one. A drill that was broken off before a verdict is a case with an error.
func (r Report) JUnit() ([]byte, error) {
	all := junitSuites{Name: "jenner drills"}
	var took time.Duration
	for i, drill := range r.Drills {
		suite := junitOf(drill, i)
		all.Tests += suite.Tests
		all.Failures += suite.Failures
		all.Errors += suite.Errors
		took += drill.EndedAt.Sub(drill.StartedAt)
		all.Suites = append(all.Suites, suite)
	}
	all.Time = seconds(took)
	raw, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot write JUnit XML: %w", err)
	}
	return slices.Concat([]byte(xml.Header), raw, []byte("\n")), nil
}

func junitOf(drill Drill, id int) junitSuite {
	suite := junitSuite{Name: drill.Experiment.Name, ID: id, Time: seconds(drill.EndedAt.Sub(drill.StartedAt)),
		Timestamp: drill.StartedAt.UTC().Format("2006-01-02T15:04:05"), Properties: properties(drill)}
	for _, round := range drill.Rounds {
		name := "round " + strconv.Itoa(round.Number)
		if round.Result.Stage != "" {
			name += ", stage " + round.Result.Stage
		}
		one := junitCase{Name: name, Classname: drill.Experiment.Name,
			Time: seconds(round.EndedAt.Sub(round.StartedAt)), Out: printable(told(round))}
		if is := round.Result.Verdict; is != drill.Expected {
			suite.Failures++
			one.Failure = &junitSaid{Message: printable(fmt.Sprintf("expected %s, came out %s", drill.Expected, is)), Type: string(is),
				Text: printable(strings.Join(round.Result.Reasons, "\n"))}
		}
		suite.Cases = append(suite.Cases, one)
	}
	if len(drill.Rounds) == 0 {
		suite.Errors = 1
		suite.Cases = append(suite.Cases, junitCase{Name: "round 1", Classname: drill.Experiment.Name, Time: suite.Time,
			Error: &junitSaid{Message: "it was broken off before a verdict", Type: string(jenner.VerdictAborted)}})
	}
	suite.Tests = len(suite.Cases)
	return suite
}

func properties(drill Drill) []junitProperty {
	all := []junitProperty{{"hypothesis", drill.Experiment.Hypothesis}, {"service", drill.Experiment.Service},
		{"drill", drill.ID}, {"expected", string(drill.Expected)}}
	for _, fault := range drill.Experiment.Faults {
		all = append(all, junitProperty{"fault", fault.Fault + " on " + fault.Target})
	}
	for _, what := range slices.Sorted(maps.Keys(drill.Versions)) {
		all = append(all, junitProperty{"version of " + what, drill.Versions[what]})
	}
	for i := range all {
		all[i].Value = printable(all[i].Value)
	}
	return all
}

// told is what a round showed, in lines.
func told(round Round) string {
	var out strings.Builder
	result := round.Result
	fmt.Fprintf(&out, "verdict: %s\n", result.Verdict)
	for _, reason := range result.Reasons {
		fmt.Fprintf(&out, "  %s\n", reason)
	}
	fmt.Fprintf(&out, "cause: %s, runbook: %s, on: %s\n", result.Cause, result.Runbook, result.Target)
	for _, mark := range round.Marks() {
		fmt.Fprintf(&out, "%s %s: %s\n", offset(mark.At.Sub(round.InjectedAt)), mark.Kind, mark.Text)
	}
	for _, reading := range round.Result.Invariants {
		fmt.Fprintf(&out, "invariant %s: %s, then %s %s%s\n", reading.Name, reading.Before, reading.After, reading.Broken, reading.Missing)
	}
	if round.Control != nil {
		fmt.Fprintf(&out, "control arm: %s\n", round.Control.Note)
	}
	for _, incident := range round.Incidents {
		fmt.Fprintf(&out, "incident %s about %s: %s\n", incident.Incident.ID, incident.Incident.Service, incident.Phase)
	}
	return out.String()
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// printable leaves out what XML cannot hold, which encoding/xml would write as a replacement character.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, text)
}
