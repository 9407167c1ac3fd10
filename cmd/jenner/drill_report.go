package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/diagnose"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/report"
	"github.com/jenner-heal/jenner/telemetry"
)

// forms are those in which a report can be written, by the ending of the file's name.
type forms[T any] map[string]func(T) ([]byte, error)

var drillForms = forms[report.Report]{".html": report.Report.HTML, ".xml": report.Report.JUnit, ".json": report.Report.JSON}

// check refuses, before anything is done, a file that could not be written in the end.
func (w forms[T]) check(files []string) error {
	for _, file := range files {
		if w[strings.ToLower(filepath.Ext(file))] == nil {
			return usage("--report %s: the ending says the form; write one of %s", file, strings.Join(slices.Sorted(maps.Keys(w)), ", "))
		}
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return usage("--report %s: there is no folder %s", file, filepath.Dir(file))
		}
	}
	return nil
}

// write writes every file, whole or not at all, and goes on after an error.
func (w forms[T]) write(files []string, data T) error {
	var all error
	for _, file := range files {
		raw, err := w[strings.ToLower(filepath.Ext(file))](data)
		if err == nil {
			err = writeWhole(file, raw)
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("the report %s is not written: %w", file, err))
		}
	}
	return all
}

func writeWhole(file string, raw []byte) error {
	part, err := os.CreateTemp(filepath.Dir(file), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(raw)
	if err = errors.Join(err, part.Chmod(0o644), part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), file)
}

// reportOf gathers what the drills showed. What cannot be had, such as a number that nobody can compute any more, is left
// out and told in the error: a report with a gap is better than none.
func reportOf(ctx context.Context, a *app.App, drills []jenner.Drill) (report.Report, error) {
	all := report.Report{At: time.Now(), Version: version, Drills: []report.Drill{}}
	var gaps error
	for _, drill := range drills {
		one, err := drillOf(ctx, a, drill)
		gaps = errors.Join(gaps, err)
		all.Drills = append(all.Drills, one)
	}
	return all, gaps
}

func drillOf(ctx context.Context, a *app.App, drill jenner.Drill) (report.Drill, error) {
	one := report.Drill{ID: drill.ID, Experiment: drill.Experiment, Expected: drill.Experiment.ExpectedVerdict(),
		StartedAt: drill.StartedAt, EndedAt: drill.EndedAt, Overall: drill.Overall, State: jenner.Raw(drill)}
	timeline, err := a.Store.Timeline(ctx, loop.DrillLine, drill.ID)
	if err != nil {
		return one, err
	}
	one.Rounds = report.Rounds(drill, timeline)
	if len(timeline) > 0 {
		one.StartedAt, one.EndedAt = timeline[0].At, timeline[len(timeline)-1].At
	}
	proofs, err := a.Store.Proofs(ctx)
	if err != nil {
		return one, err
	}
	for _, proof := range proofs {
		if proof.Drill == drill.ID {
			one.Versions = proof.Versions // the same in all rounds
		}
	}
	incidents, gaps := incidentsDuring(ctx, a, one.StartedAt, family(a, drill))
	for i := range one.Rounds {
		round := &one.Rounds[i]
		for _, incident := range incidents {
			if at := incident.Incident.OpenedAt; !at.Before(round.StartedAt) && at.Before(round.EndedAt) {
				round.Incidents = append(round.Incidents, incident)
			}
		}
		var err error
		round.Panels, err = panelsOf(ctx, a, watched(a, drill), round.StartedAt, round.EndedAt)
		gaps = errors.Join(gaps, err)
	}
	return one, gaps
}

// watched are the services whose numbers tell how the drill went: the one that it is about, those that its faults hit, and
// the one to heal.
func watched(a *app.App, drill jenner.Drill) []jenner.Service {
	names := []string{drill.Experiment.Service}
	for _, record := range drill.Injected {
		names = append(names, record.Service.Name)
	}
	names = append(names, drill.Experiment.Expect.Target, drill.Result.Target)
	var services []jenner.Service
	for i, name := range names {
		if service, known := a.Docs().Service(name); known && slices.Index(names, name) == i {
			services = append(services, service)
		}
	}
	return services
}

// family are the names of the watched services, of what they need and of what needs them.
func family(a *app.App, drill jenner.Drill) []string {
	services := map[string]jenner.Service{}
	for _, service := range a.Docs().Services {
		services[service.Name] = service
	}
	var names []string
	for _, service := range watched(a, drill) {
		names = slices.Concat(names, []string{service.Name}, diagnose.Dependencies(services, service.Name), diagnose.Dependants(services, service.Name))
	}
	return names
}

// incidentsDuring are the incidents of some services that were opened since, the first one first.
func incidentsDuring(ctx context.Context, a *app.App, since time.Time, services []string) ([]report.Incident, error) {
	records, err := a.World.Records(ctx, loop.IncidentLine, since)
	if err != nil {
		return nil, err
	}
	var found []report.Incident
	for _, record := range records {
		one := report.Incident{Phase: record.Phase}
		if err := json.Unmarshal(record.State, &one.Incident); err != nil {
			return found, fmt.Errorf("incident %s cannot be read: %w", record.ID, err)
		}
		if one.Incident.OpenedAt.Before(since) || services != nil && !slices.Contains(services, one.Incident.Service) {
			continue
		}
		if one.Timeline, err = a.Store.Timeline(ctx, loop.IncidentLine, record.ID); err != nil {
			return found, err
		}
		found = append(found, one)
	}
	slices.SortFunc(found, func(x, y report.Incident) int { return x.Incident.OpenedAt.Compare(y.Incident.OpenedAt) })
	return found, nil
}

// How many points a line has at most, and how close they are at most.
const (
	mostPoints = 600
	leastStep  = 50 * time.Millisecond
)

// panelsOf are the SLIs and the probes of services over a stretch of time. What has no numbers in it is left out.
func panelsOf(ctx context.Context, a *app.App, services []jenner.Service, from, to time.Time) ([]report.Panel, error) {
	course := courser{ctx: ctx, app: a, from: from, to: to, step: max(leastStep, (to.Sub(from) / mostPoints).Truncate(time.Millisecond))}
	var panels []report.Panel
	for _, service := range services {
		for _, sli := range service.SLIs {
			panel := report.Panel{Title: sli.Name + " of " + service.Name,
				Series: course.of(strings.ReplaceAll(sli.PromQL, "$service", service.Name))}
			if bounds, known := a.Bounds(service.Name, sli.Name); known {
				panel.Above, panel.Below = bound(bounds.Low), bound(bounds.High)
			}
			panels = append(panels, panel)
		}
		for _, probe := range service.Probes {
			selector := fmt.Sprintf(`{service=%q,probe=%q}`, service.Name, probe.Name)
			panels = append(panels, report.Panel{Title: "probe " + probe.Name + " of " + service.Name, Unit: "s",
				Series: course.of("probe_duration_seconds" + selector), Failed: failed(course.of("probe_success"+selector), course.step)})
		}
	}
	panels = slices.DeleteFunc(panels, func(panel report.Panel) bool { return len(panel.Series) == 0 })
	return panels, course.err
}

// bound is a border that was declared or learned; one that is open has none.
func bound(value float64) *float64 {
	if math.Abs(value) == math.MaxFloat64 || math.IsInf(value, 0) {
		return nil
	}
	return &value
}

// courser asks for one course after the other and keeps the errors.
type courser struct {
	ctx      context.Context
	app      *app.App
	from, to time.Time
	step     time.Duration
	err      error
}

func (c *courser) of(promql string) []report.Series {
	found, err := c.app.Course(c.ctx, promql, c.from, c.to, c.step)
	if err != nil {
		c.err = errors.Join(c.err, err)
		return nil
	}
	var all []report.Series
	for _, series := range found {
		one := report.Series{Name: labelsIn(series)}
		for _, point := range series.Points {
			one.Points = append(one.Points, report.Point{At: point.At, Value: point.Value})
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b report.Series) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// labelsIn names a series by what tells it from its neighbours.
func labelsIn(series telemetry.Series) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(series.Labels)) {
		if !slices.Contains([]string{"__name__", "service", "instance", "probe"}, name) {
			parts = append(parts, name+"="+series.Labels[name])
		}
	}
	return strings.Join(parts, ", ")
}

// failed are the stretches of time in which a probe failed.
func failed(success []report.Series, step time.Duration) []report.Span {
	var spans []report.Span
	for _, series := range success {
		open := false
		for _, point := range series.Points {
			switch {
			case point.Value != 0:
				open = false
			case open:
				spans[len(spans)-1].To = point.At.Add(step)
			default:
				spans, open = append(spans, report.Span{From: point.At, To: point.At.Add(step)}), true
			}
		}
	}
	return spans
}
