package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/jenner-heal/jenner"
)

// drillRow is one drill in the JSON output. Durations are milliseconds after the injection, -1 where it did not happen.
type drillRow struct {
	Experiment  string         `json:"experiment"`
	Verdict     jenner.Verdict `json:"verdict"`
	Cause       jenner.Cause   `json:"cause"`
	Confidence  float64        `json:"confidence"`
	Runbook     string         `json:"runbook"`
	Target      string         `json:"target"`
	DetectedMS  int64          `json:"detected_ms"`
	ActedMS     int64          `json:"acted_ms"`
	RecoveredMS int64          `json:"recovered_ms"`
	OrdersLost  int            `json:"orders_lost"`
	Reasons     []string       `json:"reasons,omitempty"`
}

// notCounted says that nobody counted false actions: a drill among real services cannot tell which actions others needed.
const notCounted = -1

// report prints the results, as a table or as one JSON object. The error is the exit code: 0 only if every verdict is
// the expected one and no action was a false one.
func report(results []jenner.DrillResult, experiments []jenner.Experiment, falseActions int, asJSON bool, out io.Writer) error {
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
		err = reportJSON(results, falseActions, out)
	} else {
		err = reportTable(results, expected, falseActions, out)
	}
	if err == nil && !ok {
		err = exitCode(exitNo)
	}
	return err
}

func reportJSON(results []jenner.DrillResult, falseActions int, out io.Writer) error {
	rows := []drillRow{}
	for _, r := range results {
		rows = append(rows, drillRow{Experiment: r.Experiment, Verdict: r.Verdict, Cause: r.Cause, Confidence: r.Confidence,
			Runbook: r.Runbook, Target: r.Target, DetectedMS: r.DetectedMS, ActedMS: r.ActedMS, RecoveredMS: r.RecoveredMS,
			OrdersLost: int(r.Measured["orders_lost"]), Reasons: r.Reasons})
	}
	object := map[string]any{"drills": rows}
	if falseActions != notCounted {
		object["false_actions"] = falseActions
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object)
}

func reportTable(results []jenner.DrillResult, expected map[string]jenner.Verdict, falseActions int, out io.Writer) error {
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
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Experiment, r.Verdict, cause, dash(r.Runbook), dash(r.Target),
			seconds(r.DetectedMS), seconds(r.ActedMS), seconds(r.RecoveredMS), lost)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nDetected, acted and recovered: after the fault was injected. Lost: orders, until all was well again.")
	for _, r := range results {
		if r.Verdict != expected[r.Experiment] {
			fmt.Fprintf(out, "\n%s: expected %s, came out %s:\n", r.Experiment, expected[r.Experiment], r.Verdict)
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
