package report

import (
	"bytes"
	_ "embed" // the page's template and its style
	"encoding"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

//go:embed page.html.tmpl
var pageTemplate string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":   func() template.CSS { return template.CSS(pageStyle) },
	"moment":  func(at time.Time) string { return at.Local().Format(time.DateTime) },
	"clock":   func(at time.Time) string { return at.Local().Format("15:04:05.000") },
	"offset":  func(at, zero time.Time) string { return offset(at.Sub(zero)) },
	"ms":      func(ms int64) string { return after(ms) },
	"length":  func(from, to time.Time) string { return lasting(to.Sub(from)) },
	"treated": func(round Round) template.HTML { return treated(round).svg() },
	"control": func(round Round) template.HTML { return untreated(round).svg() },
	"gameday": func(day Gameday) template.HTML { return day.figure().svg() },
	"inc":     func(n int) int { return n + 1 },
	"pick": func(written encoding.TextMarshaler) (string, error) {
		text, err := written.MarshalText()
		return string(text), err
	},
	"held":     func(d time.Duration) string { return after(int64(math.Floor(d.Seconds() * 1000))) }, // −1 is never
	"about":    linesAbout,
	"join":     func(names []string) string { return strings.Join(names, ", ") },
	"spread":   spreadOf,
	"lines":    linesOf,
	"notAgree": notAgreeing,
	"text":     func(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) },
	"pair":     func(is, expected jenner.Verdict) verdicts { return verdicts{is, expected} },
}).Parse(pageTemplate))

// verdicts are what came out, and what should have.
type verdicts struct{ Is, Expected jenner.Verdict }

// HTML is the report as one page that needs nothing but itself: no script, no font, no picture from elsewhere.
func (r Report) HTML() ([]byte, error) { return render("drills", r) }

func render(name string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, name, data); err != nil {
		return nil, fmt.Errorf("cannot write the page: %w", err)
	}
	return out.Bytes(), nil
}

// Good counts the drills that came out as expected.
func (r Report) Good() int {
	good := 0
	for _, drill := range r.Drills {
		if drill.AsExpected() {
			good++
		}
	}
	return good
}

func after(ms int64) string {
	if ms < 0 {
		return "–"
	}
	return lasting(time.Duration(ms) * time.Millisecond)
}

// treated is the figure of the treatment arm: from a little before the fault, in which steady is to be seen, to the end.
func treated(r Round) figure {
	zero, name := r.InjectedAt, "the fault"
	if zero.IsZero() {
		zero, name = r.StartedAt, "the start"
	} else if len(r.Faults) == 0 {
		name = "the drill's begin"
	}
	lead := min(max(r.EndedAt.Sub(zero)/4, 2*time.Second), 30*time.Second)
	from := zero.Add(-lead)
	if arm := r.Control; arm != nil && arm.UndoneAt.After(from) && arm.UndoneAt.Before(zero) {
		from = arm.UndoneAt
	}
	return figure{title: "the numbers of the service before, during and after the fault", from: from, to: r.EndedAt.Add(r.EndedAt.Sub(from) / 40), zero: zero, zeroName: name,
		marks: r.Marks(), panels: r.Panels}
}

// untreated is the figure of the control arm.
func untreated(r Round) figure {
	arm := r.Control
	to := arm.UndoneAt
	if to.IsZero() {
		to = r.EndedAt
	}
	lead := min(max(to.Sub(arm.InjectedAt)/4, time.Second), 10*time.Second)
	until := to.Add(lead)
	if !r.InjectedAt.IsZero() && r.InjectedAt.Before(until) {
		until = r.InjectedAt
	}
	marks := []Mark{{Kind: MarkFault, At: arm.InjectedAt, Text: "injected while nobody may help"}}
	if !arm.UndoneAt.IsZero() {
		marks = append(marks, Mark{Kind: MarkUndo, At: arm.UndoneAt, Text: "taken back"})
	}
	return figure{title: "the numbers of the service in the control arm", from: arm.InjectedAt.Add(-lead), to: until, zero: arm.InjectedAt,
		zeroName: "the fault of the control arm", marks: marks, panels: r.Panels}
}

// spread is how a time of a drill's rounds is spread.
type spread struct {
	Name                string
	Min, P50, P90, Most string
	Within              string // what was expected
	Dots                template.HTML
}

// spreadOf is how the times are spread over the rounds, where there are several.
func spreadOf(drill Drill) []spread {
	if drill.Overall.Rounds < 2 {
		return nil
	}
	var all []spread
	add := func(name string, times jenner.Spread, within jenner.Duration, of func(jenner.DrillResult) int64) {
		if times.Count == 0 {
			return
		}
		one := spread{Name: name, Min: after(times.Min), P50: after(times.P50), P90: after(times.P90), Most: after(times.Max)}
		if within > 0 {
			one.Within = lasting(within.Std())
		}
		one.Dots = dots(drill, within.Std().Milliseconds(), of)
		all = append(all, one)
	}
	expect := drill.Experiment.Expect
	add("detected", drill.Overall.Detected, expect.DetectedWithin, func(r jenner.DrillResult) int64 { return r.DetectedMS })
	add("acted", drill.Overall.Acted, 0, func(r jenner.DrillResult) int64 { return r.ActedMS })
	add("recovered", drill.Overall.Recovered, expect.RecoveredWithin, func(r jenner.DrillResult) int64 { return r.RecoveredMS })
	return all
}

// dots shows every round on a line, and the time that was expected.
func dots(drill Drill, within int64, of func(jenner.DrillResult) int64) template.HTML {
	most := max(within, 1)
	for _, round := range drill.Rounds {
		most = max(most, of(round.Result))
	}
	x := scale{0, float64(most) * 1.05, 8, 252}
	var out strings.Builder
	out.WriteString(`<svg class="dots" viewBox="0 0 260 22" role="img" aria-label="one dot a round"><line class="grid" x1="8" x2="252" y1="11" y2="11"/>`)
	if within > 0 {
		fmt.Fprintf(&out, `<line class="bound" x1="%.1f" x2="%.1f" y1="2" y2="20"/>`, x.at(float64(within)), x.at(float64(within)))
	}
	for _, round := range drill.Rounds {
		if ms := of(round.Result); ms >= 0 {
			fmt.Fprintf(&out, `<circle cx="%.1f" cy="11" r="4.5"><title>round %d: %s</title></circle>`, x.at(float64(ms)), round.Number, after(ms))
		}
	}
	out.WriteString("</svg>")
	return template.HTML(out.String())
}

// linesOf leaves out of a timeline what only moved from phase to phase, and what was only kept for a machine.
func linesOf(timeline []jenner.Entry) []jenner.Entry {
	return slices.DeleteFunc(slices.Clone(timeline), func(entry jenner.Entry) bool {
		return entry.Kind == "phase" || entry.Kind == jenner.EntryScene
	})
}

// notAgreeing are the guards that kept a decision from acting.
func notAgreeing(decision jenner.Decision) []jenner.GuardResult {
	return slices.DeleteFunc(slices.Clone(decision.Guards), func(guard jenner.GuardResult) bool { return guard.Outcome == jenner.DecideAct })
}
