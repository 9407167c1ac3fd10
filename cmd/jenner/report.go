package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/jenner-heal/jenner"
)

// drillRow is one drill in the JSON output. Durations are milliseconds after the injection, -1 where it did not happen.
type drillRow struct {
	Experiment  string           `json:"experiment"`
	Stage       string           `json:"stage,omitempty"`
	Verdict     jenner.Verdict   `json:"verdict"`
	Cause       jenner.Cause     `json:"cause"`
	Confidence  float64          `json:"confidence"`
	Runbook     string           `json:"runbook"`
	Target      string           `json:"target"`
	DetectedMS  int64            `json:"detected_ms"`
	ActedMS     int64            `json:"acted_ms"`
	RecoveredMS int64            `json:"recovered_ms"`
	OrdersLost  int              `json:"orders_lost"`
	Invariants  []jenner.Reading `json:"invariants,omitempty"`
	Reasons     []string         `json:"reasons,omitempty"`
}

// notCounted says that nobody counted false actions: a drill among real services cannot tell which actions others needed.
const notCounted = -1

// showResults prints the results, as a table or as one JSON object. The error is the exit code: 0 only if every verdict is
// the expected one and no action was a false one.
//
// overall are those of the drills that had several rounds, by the experiment.
func showResults(results []jenner.DrillResult, experiments []jenner.Experiment, overall map[string]jenner.Overall, falseActions int, asJSON bool,
	out io.Writer) error {
	expected := map[string]jenner.Verdict{}
	for _, experiment := range experiments {
		expected[experiment.Name] = experiment.ExpectedVerdict()
	}
	ok := falseActions <= 0 && len(results) >= len(experiments)
	for _, result := range results {
		ok = ok && result.Verdict == expected[result.Experiment]
	}
	var err error
	if asJSON {
		err = reportJSON(results, overall, falseActions, out)
	} else {
		err = reportTable(results, expected, overall, falseActions, out)
	}
	if err == nil && !ok {
		err = exitCode(exitNo)
	}
	return err
}

func reportJSON(results []jenner.DrillResult, overall map[string]jenner.Overall, falseActions int, out io.Writer) error {
	rows := []drillRow{}
	for _, r := range results {
		rows = append(rows, drillRow{Experiment: r.Experiment, Stage: r.Stage, Invariants: r.Invariants, Verdict: r.Verdict, Cause: r.Cause, Confidence: r.Confidence,
			Runbook: r.Runbook, Target: r.Target, DetectedMS: r.DetectedMS, ActedMS: r.ActedMS, RecoveredMS: r.RecoveredMS,
			OrdersLost: int(r.Measured["orders_lost"]), Reasons: r.Reasons})
	}
	object := map[string]any{"drills": rows}
	if len(overall) > 0 {
		object["overall"] = overall
	}
	if falseActions != notCounted {
		object["false_actions"] = falseActions
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object)
}

func reportTable(results []jenner.DrillResult, expected map[string]jenner.Verdict, overall map[string]jenner.Overall, falseActions int,
	out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "DRILL\tVERDICT\tCAUSE\tRUNBOOK\tTARGET\tDETECTED\tACTED\tRECOVERED\tLOST")
	for _, r := range results {
		cause := "-"
		if r.Cause != "" {
			cause = fmt.Sprintf("%s %.2f", r.Cause, r.Confidence)
		}
		lost := "-"
		if n, known := r.Measured["orders_lost"]; known {
			lost = strconv.Itoa(int(n))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", staged(r), r.Verdict, cause, dash(r.Runbook), dash(r.Target),
			seconds(r.DetectedMS), seconds(r.ActedMS), seconds(r.RecoveredMS), lost)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nDetected, acted and recovered: after the fault was injected. Lost: orders, until all was well again.")
	showOverall(overall, out)
	for _, r := range results {
		if r.Verdict != expected[r.Experiment] {
			fmt.Fprintf(out, "\n%s: expected %s, came out %s:\n", staged(r), expected[r.Experiment], r.Verdict)
			for _, reason := range r.Reasons {
				fmt.Fprintf(out, "  %s\n", reason)
			}
		}
	}
	if falseActions == notCounted {
		return nil
	}
	_, err := fmt.Fprintf(out, "\nfalse actions: %d\n", falseActions)
	return err
}

// staged names the experiment, with its stage where it has some.
func staged(result jenner.DrillResult) string {
	if result.Stage == "" {
		return result.Experiment
	}
	return result.Experiment + "/" + result.Stage
}

// overallOf are those of the drills that had several rounds, by the experiment.
func overallOf(drills []jenner.Drill) map[string]jenner.Overall {
	all := map[string]jenner.Overall{}
	for _, drill := range drills {
		if drill.Overall.Rounds > 1 {
			all[drill.Experiment.Name] = drill.Overall
		}
	}
	return all
}

// showOverall says how the times of several rounds are spread.
func showOverall(overall map[string]jenner.Overall, out io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(overall)) {
		one := overall[name]
		fmt.Fprintf(out, "\n%s: %s, %d of %d rounds PROVEN", name, one.Verdict, one.Proven, one.Rounds)
		if times := one.Recovered; times.Count > 0 {
			fmt.Fprintf(out, "; recovered after %s to %s, half within %s, nine of ten within %s", seconds(times.Min), seconds(times.Max),
				seconds(times.P50), seconds(times.P90))
		}
		fmt.Fprintln(out)
	}
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func seconds(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fs", float64(ms)/1000)
}
