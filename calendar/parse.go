package calendar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/jenner-heal/jenner"
)

// maxPlanned is how many events and repetitions one window of a calendar may hold. Who has more has not planned them.
const maxPlanned = 20_000

// Parse gives all events and repetitions of a calendar that overlap [from, until), sorted by From, then Summary. Times
// are in UTC. raw is what was read, at most 5 MB; of calendar its Name, Services, Effect and LowerBy are used.
//
// An error names the calendar and, where one is to blame, the event. It is also given where raw is not a whole calendar
// (an HTML page, an answer that was cut off), and where the calendar would need too much work: more than 20,000
// repetitions in the window, or rules that are searched for too long. Safe for concurrent use.
func Parse(calendar jenner.Calendar, raw []byte, from, until time.Time) ([]jenner.Planned, error) {
	read, err := readPlan(calendar, raw)
	if err != nil {
		return nil, err
	}
	return read.between(from, until)
}

// plan is a calendar that was read and checked. It does not change.
type plan struct {
	calendar jenner.Calendar
	events   []event
	names    map[string]bool // services that events name themselves
}

func readPlan(calendar jenner.Calendar, raw []byte) (read *plan, err error) {
	defer inCalendar(calendar.Name, &err)
	if err := checkDefaults(calendar); err != nil {
		return nil, err
	}
	objects, err := decode(raw)
	if err != nil {
		return nil, err
	}
	read = &plan{calendar: calendar, names: map[string]bool{}}
	work := newBudget()
	for _, object := range objects {
		zones, err := zonesOf(object, work)
		if err != nil {
			return nil, err
		}
		cancelled := strings.EqualFold(text(object, ical.PropMethod), "CANCEL")
		for _, child := range object.Children {
			if strings.TrimSpace(child.Name) != ical.CompEvent {
				continue // tasks, journals and the like plan nothing
			}
			one, err := readEvent(child, zones)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", titleOf(child), err)
			}
			one.cancelled = one.cancelled || cancelled
			read.events = append(read.events, one)
		}
	}
	read.events = settleOverrides(read.events)
	for _, one := range read.events {
		for _, name := range one.said.services {
			read.names[name] = true
		}
	}
	return read, nil
}

// inCalendar names the calendar in an error. The libraries index by what the file says; what the checks here have not
// foreseen is an error about that file, and must not end the program.
func inCalendar(name string, err *error) {
	if trouble := recover(); trouble != nil {
		*err = fmt.Errorf("cannot be understood (%v); please report the file as a mistake of Jenner's", trouble)
	}
	if *err != nil {
		*err = fmt.Errorf("calendar %s: %w", name, *err)
	}
}

func checkDefaults(calendar jenner.Calendar) error {
	switch calendar.Effect {
	case "", jenner.PlannedLower, jenner.PlannedApprove, jenner.PlannedFreeze:
	default:
		return fmt.Errorf("effect %q is not known; write freeze, approve or lower", calendar.Effect)
	}
	if calendar.LowerBy < 0 || calendar.LowerBy > 1 {
		return fmt.Errorf("lower_by %v is outside 0%% to 100%%", float64(calendar.LowerBy))
	}
	return nil
}

// decode gives the calendar objects of a file, of which there may be several (RFC 5545, 3.4).
func decode(raw []byte) ([]*ical.Component, error) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if err := wellFormed(raw); err != nil {
		return nil, err
	}
	decoder := ical.NewDecoder(bytes.NewReader(raw))
	var objects []*ical.Component
	for {
		object, err := decoder.Decode()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("is not iCalendar: %s", strings.TrimPrefix(err.Error(), "ical: "))
		}
		objects = append(objects, object.Component)
	}
}

// settleOverrides takes out of each series the repetitions that an event of the same UID replaces or cancels, drops what
// is cancelled, and drops what a later revision (SEQUENCE) replaces.
func settleOverrides(events []event) []event {
	byUID := map[string][]int{}
	for i, one := range events {
		if one.uid != "" {
			byUID[one.uid] = append(byUID[one.uid], i)
		}
	}
	newest := map[string]int{}
	for _, one := range events {
		key := one.revisionKey()
		newest[key] = max(newest[key], one.sequence)
	}
	outdated := func(one event) bool { return one.uid != "" && one.sequence < newest[one.revisionKey()] }
	for _, override := range events {
		if override.replaces == nil || outdated(override) {
			continue
		}
		for _, i := range byUID[override.uid] {
			if events[i].replaces == nil {
				events[i].except.add(*override.replaces)
			}
		}
	}
	return slices.DeleteFunc(events, func(one event) bool { return one.cancelled || outdated(one) })
}

// between expands the plan for a window.
func (p *plan) between(from, until time.Time) (planned []jenner.Planned, err error) {
	defer inCalendar(p.calendar.Name, &err)
	work := newBudget()
	for _, one := range p.events {
		spans, err := one.spans(from, until, work)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.title(), err)
		}
		if len(planned)+len(spans) > maxPlanned {
			return nil, fmt.Errorf("%s: the calendar has more than %d events and repetitions from %s to %s; "+
				"let its events repeat less often", one.title(), maxPlanned, day(from), day(until))
		}
		for _, s := range spans {
			planned = append(planned, p.planned(one, s))
		}
	}
	slices.SortStableFunc(planned, inOrder)
	return planned, nil
}

func (p *plan) planned(one event, at span) jenner.Planned {
	planned := jenner.Planned{
		Calendar: p.calendar.Name, Summary: one.summary, From: at.from.UTC(), Until: at.until.UTC(),
		Services: p.calendar.Services, Effect: one.said.effect,
	}
	if len(one.said.services) > 0 {
		planned.Services = jenner.Selector{Names: slices.Clone(one.said.services)}
	}
	if planned.Effect == "" {
		planned.Effect = p.calendar.Effect
	}
	if planned.Effect == "" {
		planned.Effect = jenner.PlannedApprove
	}
	if planned.Effect != jenner.PlannedLower {
		return planned
	}
	switch {
	case one.said.share != nil:
		planned.LowerBy = *one.said.share
	case p.calendar.LowerBy != 0:
		planned.LowerBy = float64(p.calendar.LowerBy)
	default:
		planned.LowerBy = defaultLowerBy
	}
	return planned
}

// inOrder sorts by From, then by what else tells two events apart.
func inOrder(a, b jenner.Planned) int {
	if order := a.From.Compare(b.From); order != 0 {
		return order
	}
	if order := strings.Compare(a.Calendar, b.Calendar); order != 0 {
		return order
	}
	return strings.Compare(a.Summary, b.Summary)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// escapes are those of text in iCalendar (RFC 5545, 3.3.11). What else follows a backslash stays as it is, for programs
// also escape what they need not.
var escapes = strings.NewReplacer(`\\`, `\`, `\;`, `;`, `\,`, `,`, `\n`, "\n", `\N`, "\n")

// text is a property's text; commas that should have been escaped are kept.
func text(of *ical.Component, name string) string {
	prop := of.Props.Get(name)
	if prop == nil {
		return ""
	}
	return strings.TrimSpace(escapes.Replace(prop.Value))
}

// titleOf is how an event is named in errors.
func titleOf(component *ical.Component) string {
	title := "event " + strconv.Quote(short(text(component, ical.PropSummary)))
	if start := component.Props.Get(ical.PropDateTimeStart); start != nil {
		title += " of " + short(start.Value)
	}
	return title
}

// short keeps errors readable whatever stands in the file.
func short(words string) string {
	if runes := []rune(words); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return words
}
