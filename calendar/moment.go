package calendar

import (
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-ical"
)

// maxYear is the last that times written as text can have.
const maxYear = 9999

const (
	dateForm = "20060102"
	timeForm = "20060102T150405"
)

// moment is a time as a calendar writes it: the reading of a clock on a wall, and the zone of that wall. Repetitions are
// counted on the wall: nine o'clock stays nine o'clock when the clock is moved.
type moment struct {
	wall time.Time // the reading, as if it were UTC
	zone *time.Location
	day  bool // a date without a time
}

// instant is the moment in real time (RFC 5545, 3.3.5): a reading that the clock skips counts as if it had not been moved
// yet, and of one that it shows twice it is the first. time.Date leaves open which.
func (m moment) instant() time.Time {
	before, after := offset(m.zone, m.wall.Add(-24*time.Hour)), offset(m.zone, m.wall.Add(24*time.Hour))
	for _, seconds := range []int{before, after} {
		at := m.wall.Add(-time.Duration(seconds) * time.Second)
		if offset(m.zone, at) == seconds {
			return at
		}
	}
	return m.wall.Add(-time.Duration(before) * time.Second)
}

func offset(zone *time.Location, at time.Time) int {
	_, seconds := at.In(zone).Zone()
	return seconds
}

// moment reads a property that is a date or a time.
func (z *zones) moment(prop *ical.Prop) (moment, error) {
	all, err := z.moments(prop)
	if err != nil {
		return moment{}, err
	}
	if len(all) != 1 {
		return moment{}, fmt.Errorf("%s %q is more than one time", prop.Name, short(prop.Value))
	}
	return all[0], nil
}

// moments reads a property that is a list of dates or times.
func (z *zones) moments(prop *ical.Prop) ([]moment, error) {
	zone := z.floating
	if tzid := prop.Params.Get(ical.ParamTimezoneID); tzid != "" {
		var err error
		if zone, err = z.named(tzid); err != nil {
			return nil, fmt.Errorf("%s: %w", prop.Name, err)
		}
	}
	var all []moment
	for _, value := range strings.Split(prop.Value, ",") {
		read, err := readMoment(strings.TrimSpace(value), strings.ToUpper(prop.Params.Get(ical.ParamValue)), zone)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", prop.Name, err)
		}
		all = append(all, read)
	}
	return all, nil
}

// readMoment reads one date or time. kind is DATE, DATE-TIME or nothing.
func readMoment(value, kind string, zone *time.Location) (moment, error) {
	form := timeForm
	clock, utc := strings.CutSuffix(strings.ToUpper(value), "Z")
	read := moment{zone: zone, day: kind == string(ical.ValueDate) || kind == "" && len(value) == len(dateForm)}
	switch {
	case read.day && !utc:
		form = dateForm
	case utc:
		read.zone = time.UTC
	}
	wall, err := time.Parse(form, clock)
	if err != nil || len(clock) != len(form) || read.day && utc || wall.Year() < 1 {
		return moment{}, fmt.Errorf("%q is not a date such as 20260131, nor a time such as 20260131T093000 or 20260131T093000Z",
			short(value))
	}
	read.wall = wall
	return read, nil
}

// moments is a set, of times and of whole days.
type moments struct {
	times map[int64]bool
	days  map[time.Time]bool // readings of the clock on the wall, at midnight
}

func (m *moments) add(one moment) {
	if m.times == nil {
		m.times, m.days = map[int64]bool{}, map[time.Time]bool{}
	}
	if one.day {
		m.days[one.wall] = true
		return
	}
	m.times[one.instant().Unix()] = true
}

// has tells whether the set holds the moment, or its whole day, which is how some programs except a time.
func (m *moments) has(one moment, instant time.Time) bool {
	return m.times[instant.Unix()] || m.days[one.wall.Truncate(24*time.Hour)]
}
