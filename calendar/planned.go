package calendar

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// Planned gives the events that are on for a service, sorted by From, and the gaps: for each calendar that concerns the
// service and does not tell enough, one line with the calendar's name and why. A calendar concerns the services that it
// is about, and those that its events name.
//
// There is a gap where a calendar was never read; where what was read last cannot be understood, or a file cannot be
// read; and where the last good reading is older than three times Every, and at least 15 minutes. A server that does not
// answer, or answers that something is wrong with it (429, 5xx), is a gap only then, for the last good answer still
// holds. Events of the last good reading are given in any case.
//
// It reads nothing and takes microseconds, except where now lies outside the window that was worked out at the last
// reading, from a day before it to eight days after: the window then moves.
func (r *Reader) Planned(service jenner.Service, now time.Time) (events []jenner.Planned, gaps []string) {
	r.moveWindows(now)
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.calendars {
		if gap := k.gap(now); gap != "" && k.concerns(service) {
			gaps = append(gaps, gap)
		}
		for _, one := range k.window.events {
			if one.From.After(now) {
				break // they are sorted
			}
			if one.Covers(service, now) {
				events = append(events, one)
			}
		}
	}
	slices.SortStableFunc(events, inOrder)
	return events, gaps
}

// Upcoming gives the events of all calendars that overlap [now, now+within), sorted by From, as far as they were read
// well. It works out each calendar anew; what cannot be worked out so far ahead is logged and left out.
func (r *Reader) Upcoming(now time.Time, within time.Duration) []jenner.Planned {
	var all []jenner.Planned
	for _, read := range r.plans() {
		events, err := read.between(now, now.Add(within))
		if err != nil {
			r.log.Warn("a calendar cannot be told so far ahead", "calendar", read.calendar.Name, "error", err)
			continue
		}
		all = append(all, events...)
	}
	slices.SortStableFunc(all, inOrder)
	return all
}

func (r *Reader) plans() []*plan {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var plans []*plan
	for _, k := range r.calendars {
		if k.plan != nil {
			plans = append(plans, k.plan)
		}
	}
	return plans
}

// moveWindows works out the events anew where now is outside what was worked out.
func (r *Reader) moveWindows(now time.Time) {
	for _, k := range r.outside(now) {
		r.mu.RLock()
		read := k.plan
		r.mu.RUnlock()
		around := read.windowAround(now)
		r.mu.Lock()
		if k.plan == read { // else a reading has overtaken us
			k.window = around
		}
		r.mu.Unlock()
	}
}

func (r *Reader) outside(now time.Time) []*kept {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var outside []*kept
	for _, k := range r.calendars {
		if k.plan != nil && (now.Before(k.window.from) || !now.Before(k.window.until)) {
			outside = append(outside, k)
		}
	}
	return outside
}

// concerns errs on the side of yes: a calendar that was never read may name any service, but those that it is about are
// all that is known.
func (k *kept) concerns(service jenner.Service) bool {
	return k.calendar.Services.Picks(service) || k.plan != nil && k.plan.names[service.Name]
}

// gap says why a calendar does not tell enough; nothing where it does.
func (k *kept) gap(now time.Time) string {
	name, age := k.calendar.Name, now.Sub(k.read)
	switch {
	case k.tried.IsZero():
		return fmt.Sprintf("calendar %s: was not read yet", name)
	case k.read.IsZero():
		return fmt.Sprintf("%v; it was never read", k.failure)
	case k.window.err != nil:
		return k.window.err.Error()
	case age > k.patience():
		why := k.failure
		if why == nil {
			why = errors.New("no reading has ended since")
		}
		return fmt.Sprintf("calendar %s: was last read %s ago, and %s is the most: %v",
			name, jenner.Duration(age.Round(time.Second)), jenner.Duration(k.patience()), why)
	case k.failure != nil && jenner.NextAfter(k.failure) != jenner.TryAgain:
		return k.failure.Error()
	}
	return ""
}
