package loop

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// sighting is an incident that a drill has seen, and how it stands on its line.
type sighting struct {
	*jenner.Incident
	record jenner.Record // without its state
}

// escalatedAt is when the incident ended with a human; zero where it did not.
func (s sighting) escalatedAt() time.Time {
	if s.record.Phase != jenner.PhaseEscalated || !s.record.Ended {
		return time.Time{}
	}
	return s.record.Updated
}

// joined is the incident that the line opened for this drill's trouble: about the faulted service or its family, opened
// since the injection, and no mere symptom.
func (l *Lab) joined(ctx context.Context, drill *jenner.Drill) (*jenner.Incident, error) {
	sightings, err := l.during(ctx, drill)
	if best := joinedOf(drill, sightings); best != nil {
		return best.Incident, err
	}
	return nil, err
}

// joinedOf is the one among several. Where several fit, the one that acted counts, then the first; and of several faults,
// among those that acted the one that is as expected.
func joinedOf(drill *jenner.Drill, sightings []sighting) *sighting {
	var best *sighting
	for i, one := range sightings {
		if one.SymptomOf != "" {
			continue
		}
		acted := !one.ActedAt.IsZero()
		switch {
		case best == nil, best.ActedAt.IsZero() && acted:
			best = &sightings[i]
		case len(drill.Hits) > 1 && acted && asExpected(drill, one.Incident) && !asExpected(drill, best.Incident):
			best = &sightings[i]
		}
	}
	return best
}

func asExpected(drill *jenner.Drill, incident *jenner.Incident) bool {
	expect := drill.Experiment.Expect
	cause, _ := incident.Diagnosis.Best()
	run := incident.Run()
	return (expect.Cause == "" || cause.Cause == expect.Cause) && (expect.Runbook == "" || run != nil && run.Runbook.Name == expect.Runbook)
}

// during are all incidents of the family that were opened since the injection, the first one first.
func (l *Lab) during(ctx context.Context, drill *jenner.Drill) ([]sighting, error) {
	records, err := l.Records(ctx, IncidentLine, drill.InjectedAt)
	if err != nil {
		return nil, err
	}
	family := l.reached(drill)
	var found []sighting
	for _, record := range records {
		incident, err := incidentOf(record)
		if err != nil || incident.OpenedAt.Before(drill.InjectedAt) || !slices.Contains(family, incident.Service) {
			continue
		}
		record.State = nil
		found = append(found, sighting{&incident, record})
	}
	slices.SortFunc(found, func(a, b sighting) int { return a.OpenedAt.Compare(b.OpenedAt) })
	return found, nil
}

// reached are the services that the drill's faults may reach.
func (l *Lab) reached(drill *jenner.Drill) []string {
	names := l.family(drill.Present().Service)
	for _, hit := range drill.Hits {
		if !slices.Contains(names, hit.Service) {
			names = append(names, l.family(hit.Service)...)
		}
	}
	return names
}

// measure asks for the experiment's own numbers. One that has no answer is left out.
func (l *Lab) measure(ctx context.Context, experiment jenner.Experiment) map[string]float64 {
	measured := map[string]float64{}
	ctx = jenner.Asking(ctx, jenner.Question{Service: experiment.Service})
	for name, promql := range experiment.Measure {
		if answer, err := l.Telemetry.Query(ctx, promql); err == nil && !answer.NoData() {
			measured[name] = answer.Samples[0].Value
		}
	}
	return measured
}

// rise is by how much each number rose; one that is missing on either side is left out.
func rise(before, after map[string]float64) map[string]float64 {
	rose := map[string]float64{}
	for name, value := range after {
		if start, known := before[name]; known {
			rose[name] = value - start
		}
	}
	return rose
}

// facts gathers what the verdict is made from.
func (l *Lab) facts(step *drillStep) chaos.Facts {
	drill := step.State
	facts := chaos.Facts{Experiment: drill.Present(), Aborted: drill.Aborted, Control: drill.Control, Bit: !drill.BitAt.IsZero(),
		Witness: drill.Witness, InjectedAt: drill.InjectedAt, UndoneAt: drill.UndoneAt, Recovered: drill.RecoveredAt, Removed: drill.Removed,
		Armed: drill.Armed, Residue: drill.Residue, Readings: drill.Readings}
	if drill.Control != nil && (drill.Control.RecoveredAlone || !drill.Control.StayedBroken) {
		facts.Bit = drill.Control.Bit
	}
	if drill.InjectedAt.IsZero() {
		return facts
	}
	sightings, err := l.during(context.Background(), drill)
	if err != nil {
		facts.NoTelemetry = err.Error()
	}
	drill.Incidents = nil
	for _, one := range sightings {
		drill.Incidents = append(drill.Incidents, one.ID)
		if !one.ActedAt.IsZero() {
			facts.Touched = append(facts.Touched, rootOf(*one.Incident))
		}
		facts.Touched = append(facts.Touched, touched(*one.Incident)...)
	}
	facts.Changes = changesOf(sightings)
	facts.Stopped = drill.StoppedAt
	if best := joinedOf(drill, sightings); best != nil {
		facts.Incident = best.Incident
	}
	return facts
}

// tellsOnly is the verb of an action that changes nothing but what a human knows.
const tellsOnly = ".page_oncall"

// changesOf are the changes that the steps of these incidents made, in order.
func changesOf(sightings []sighting) []chaos.Change {
	var changes []chaos.Change
	for _, one := range sightings {
		for _, run := range one.Runs {
			for _, record := range run.Steps {
				if record.Changed && !strings.HasSuffix(record.Action, tellsOnly) {
					what := strings.TrimSpace(record.Action + " changed " + record.Target.String())
					changes = append(changes, chaos.Change{Service: record.Service, What: what, At: record.StartedAt})
				}
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b chaos.Change) int { return a.At.Compare(b.At) })
	return changes
}

// stoppedAt is since when all that these incidents may do has come to a stop: when the first of them ended with a human told
// after the last change; zero where none did.
func stoppedAt(sightings []sighting) time.Time {
	var last, stop time.Time
	for _, change := range changesOf(sightings) {
		last = change.At
	}
	for _, one := range sightings {
		at := one.escalatedAt()
		if !at.IsZero() && one.Paged && !at.Before(last) && (stop.IsZero() || at.Before(stop)) {
			stop = at
		}
	}
	return stop
}

// touched are the services that the incident's steps changed something of.
func touched(incident jenner.Incident) []string {
	var services []string
	for _, run := range incident.Runs {
		for _, record := range run.Steps {
			if record.Changed && !slices.Contains(services, record.Service) {
				services = append(services, record.Service)
			}
		}
	}
	return services
}

func rootOf(incident jenner.Incident) string {
	if incident.Diagnosis.Root != "" {
		return incident.Diagnosis.Root
	}
	return incident.Service
}

// result puts the facts into numbers.
func result(facts chaos.Facts, verdict jenner.Verdict, reasons []string) jenner.DrillResult {
	r := jenner.DrillResult{Experiment: facts.Experiment.Name, Verdict: verdict, Reasons: reasons,
		DetectedMS: -1, ActedMS: -1, RecoveredMS: -1}
	after := func(at time.Time) int64 {
		if at.IsZero() || facts.InjectedAt.IsZero() {
			return -1
		}
		return at.Sub(facts.InjectedAt).Milliseconds()
	}
	r.RecoveredMS = after(facts.Recovered)
	if facts.Incident == nil {
		return r
	}
	cause, _ := facts.Incident.Diagnosis.Best()
	r.Cause, r.Confidence, r.Target = cause.Cause, float64(cause.Confidence), rootOf(*facts.Incident)
	if run := facts.Incident.Run(); run != nil {
		r.Runbook = run.Runbook.Name
	}
	r.DetectedMS, r.ActedMS = after(facts.Incident.OpenedAt), after(facts.Incident.ActedAt)
	return r
}
