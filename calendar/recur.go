package calendar

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/teambition/rrule-go"
)

const (
	// maxTimesADay is how many times of the day one rule may name.
	maxTimesADay = 96
	// maxList is how many numbers one part of a rule may have: all days of a year.
	maxList = 366
	// maxInterval keeps the library's sums far from overflowing.
	maxInterval = 10_000
	// maxRepeatedDays is how long an event may last that repeats.
	maxRepeatedDays = 366
	// searchable is how much searching one reading may take, in steps of the library that take about 250 ns each.
	searchable = 2_000_000
)

// endOfTime is when searching ends at the latest. The library's own end is 292 years after the start, which birthdays without a
// year, written as 1604, have passed.
var endOfTime = time.Date(maxYear, 12, 31, 23, 59, 59, 0, time.UTC)

// budget bounds the work for one calendar. The library cannot be interrupted, so it is charged after each step, and the
// rules are such that one step is bounded.
type budget struct{ left int64 }

func newBudget() *budget { return &budget{searchable} }

func (b *budget) spend(steps int64) error {
	b.left -= max(steps, 1)
	if b.left < 0 {
		return errors.New("finding its repetitions takes too much searching; " +
			"it hardly ever comes, or came very often before: correct the rule or let it start later")
	}
	return nil
}

// rule is one RRULE.
type rule struct {
	option rrule.ROption // without start and end
	until  *moment       // the last one
}

// span is a stretch of real time; until is not included.
type span struct{ from, until time.Time }

func (s span) overlaps(from, until time.Time) bool {
	return s.from.Before(s.until) && s.from.Before(until) && s.until.After(from)
}

// spans are when the event is, those that overlap a window, in no order and not cut to it.
func (e event) spans(from, until time.Time, work *budget) ([]span, error) {
	var found []span
	seen := map[int64]bool{}
	add := func(start moment, lasts length) {
		begins := start.instant()
		if seen[begins.Unix()] || e.except.has(start, begins) {
			return
		}
		one := span{begins, lasts.after(start)}
		if !one.overlaps(from, until) {
			return
		}
		seen[begins.Unix()] = true
		found = append(found, one)
	}
	for _, one := range e.dates { // first, since they may last longer than the rule's
		add(one.start, one.length)
	}
	add(e.start, e.length)
	// An hour or two lie between the wall and real time, and days may be 25 hours long.
	lookBack := time.Duration(e.length.days+2)*24*time.Hour + time.Duration(e.length.seconds)*time.Second
	for _, r := range e.rules {
		if err := r.each(e.start, from.Add(-lookBack), until.Add(48*time.Hour), work, func(start moment) error {
			add(start, e.length)
			if len(found) > maxPlanned {
				return fmt.Errorf("it has more than %d repetitions from %s to %s; let it repeat less often",
					maxPlanned, day(from), day(until))
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// each visits the repetitions of a series that begins at start, those whose reading of the clock is in [from, until].
func (r rule) each(start moment, from, until time.Time, work *budget, visit func(moment) error) error {
	option := r.option
	option.Until, option.Dtstart = endOfTime, start.wall
	if option.Count == 0 {
		option.Dtstart = nearer(start.wall, from, option)
	}
	if err := work.spend(firstSteps(option)); err != nil {
		return err
	}
	library, err := rrule.NewRRule(option)
	if err != nil {
		return fmt.Errorf("RRULE: %w", err)
	}
	last, left, next := option.Dtstart, option.Count, library.Iterator()
	for first := true; ; first = false {
		wall, more := next()
		reached := wall
		if !more {
			reached = endOfTime
			if option.Count > 0 && left <= 0 {
				reached = last // it was counted to the end, not searched
			}
		}
		if err := work.spend(steps(option, last, reached)); err != nil {
			return err
		}
		if !more || wall.After(until) {
			return nil
		}
		if first && option.Count > 0 && !wall.Equal(start.wall) {
			left-- // the start is the first one, although the rule leaves it out
		}
		if left--; option.Count > 0 && left < 0 {
			return nil
		}
		last = wall
		one := moment{wall: wall, zone: start.zone, day: start.day}
		if wall.Before(from) {
			continue
		}
		if r.ended(one) {
			return nil
		}
		if err := visit(one); err != nil {
			return err
		}
	}
}

// ended tells whether a repetition comes after UNTIL. Where one is a day and the other a time, the day counts; midnight in
// UTC is how some programs write a day.
func (r rule) ended(one moment) bool {
	if r.until == nil {
		return false
	}
	last := r.until.wall
	if r.until.day || one.day && last.Equal(last.Truncate(24*time.Hour)) {
		return one.wall.Truncate(24 * time.Hour).After(last)
	}
	return one.instant().After(r.until.instant())
}

// steps is about how much the library did between two repetitions, in steps of a day's or an hour's rule.
func steps(option rrule.ROption, last, reached time.Time) int64 {
	days := (reached.Unix() - last.Unix()) / (24 * 60 * 60)
	factor, interval := listing(option), int64(max(option.Interval, 1))
	switch option.Freq {
	case rrule.YEARLY:
		return days / 365 * 90 * factor / interval
	case rrule.MONTHLY:
		return days / 30 * 8 * factor / interval
	case rrule.WEEKLY:
		return days / 7 * 2 * factor / interval
	case rrule.DAILY:
		return days * factor / interval
	default:
		return days * 24 * factor / interval
	}
}

// firstSteps is about how much the library does for the first repetition: all those of the first year, month or week.
func firstSteps(option rrule.ROption) int64 {
	days := map[rrule.Frequency]int64{rrule.YEARLY: 366, rrule.MONTHLY: 31, rrule.WEEKLY: 7}[option.Freq]
	return max(days, 1) * int64(timesADay(option)) * listing(option) / 4
}

// listing is how much slower long lists make each step, for the library looks through all of them.
func listing(option rrule.ROption) int64 {
	return 1 + int64(len(option.Bysetpos)+len(option.Bymonth)+len(option.Bymonthday)+len(option.Byyearday)+
		len(option.Byweekno)+len(option.Byweekday))/20
}

func timesADay(option rrule.ROption) int {
	return max(len(option.Byhour), 1) * max(len(option.Byminute), 1) * max(len(option.Bysecond), 1)
}

// nearer is a later start of the same rule, by whole intervals, not after from: weeks since 1970 need not be counted one
// by one. A rule that counts its repetitions has no other start.
func nearer(start, from time.Time, option rrule.ROption) time.Time {
	interval := max(option.Interval, 1)
	days := int((from.Unix() - start.Unix()) / (24 * 60 * 60))
	later := func(n int) time.Time { return start.AddDate(0, 0, n*interval) }
	n := days / interval
	switch option.Freq {
	case rrule.YEARLY:
		later = func(n int) time.Time { return start.AddDate(n*interval, 0, 0) }
		n = days / 366 / interval
	case rrule.MONTHLY:
		later = func(n int) time.Time { return start.AddDate(0, n*interval, 0) }
		n = days / 31 / interval
	case rrule.WEEKLY:
		later = func(n int) time.Time { return start.AddDate(0, 0, n*interval*7) }
		n = days / 7 / interval
	}
	// The day of the month must be the same, for the rule may mean it without saying so: the 31st has no later start in
	// June.
	for ; n > 0; n-- {
		if at := later(n); option.Freq > rrule.MONTHLY || at.Day() == start.Day() {
			return at
		}
	}
	return start
}

// readRepetitions reads RRULE, RDATE and EXDATE.
func (e *event) readRepetitions(component *ical.Component, zones *zones) error {
	var err error
	if e.rules, err = readRules(component, e.start.zone); err != nil {
		return err
	}
	for _, r := range e.rules {
		if !reaches(r.option, e.start.wall.Hour()) {
			return errors.New("its rule never comes to an hour of BYHOUR; correct INTERVAL or BYHOUR")
		}
	}
	if len(e.rules) > 0 && int64(e.length.days)*24*60*60+e.length.seconds > maxRepeatedDays*24*60*60 {
		return fmt.Errorf("it repeats and each time lasts more than %d days; correct DTEND, or leave out RRULE", maxRepeatedDays)
	}
	for _, prop := range component.Props.Values(ical.PropRecurrenceDates) {
		if err := e.readDates(&prop, zones); err != nil {
			return err
		}
	}
	for _, prop := range component.Props.Values(ical.PropExceptionDates) {
		all, err := zones.moments(&prop)
		if err != nil {
			return err
		}
		for _, one := range all {
			e.except.add(one)
		}
	}
	return nil
}

// readDates reads RDATE: dates, times, or periods from a time until another or for a while.
func (e *event) readDates(prop *ical.Prop, zones *zones) error {
	if !strings.EqualFold(prop.Params.Get(ical.ParamValue), string(ical.ValuePeriod)) {
		all, err := zones.moments(prop)
		for _, one := range all {
			e.dates = append(e.dates, repetition{one, e.length})
		}
		return err
	}
	for _, period := range strings.Split(prop.Value, ",") {
		first, last, whole := strings.Cut(strings.TrimSpace(period), "/")
		if !whole {
			return fmt.Errorf("RDATE: %q is not a period; write two times with / between them", short(period))
		}
		timeOf := func(value string) (moment, error) {
			return zones.moment(&ical.Prop{Name: prop.Name, Value: value,
				Params: ical.Params{ical.ParamTimezoneID: prop.Params.Values(ical.ParamTimezoneID)}})
		}
		start, err := timeOf(first)
		if err != nil {
			return err
		}
		var lasts length
		if strings.HasPrefix(last, "P") || strings.HasPrefix(last, "+P") {
			lasts, err = readDuration(last)
		} else if end, wrong := timeOf(last); wrong != nil {
			err = wrong
		} else {
			lasts, err = lengthBetween(start, end)
		}
		if err == nil {
			err = lasts.check(start)
		}
		if err != nil {
			return fmt.Errorf("RDATE: %w", err)
		}
		e.dates = append(e.dates, repetition{start, lasts})
	}
	return nil
}

// readRules reads each RRULE; UNTIL without a zone is in that of the start.
func readRules(component *ical.Component, zone *time.Location) ([]rule, error) {
	var rules []rule
	for _, prop := range component.Props.Values(ical.PropRecurrenceRule) {
		read, err := readRule(prop.Value, zone)
		if err != nil {
			return nil, fmt.Errorf("RRULE %q: %w", short(prop.Value), err)
		}
		rules = append(rules, read)
	}
	return rules, nil
}

func readRule(value string, zone *time.Location) (rule, error) {
	var read rule
	parts := strings.Split(strings.TrimRight(strings.ToUpper(strings.TrimSpace(value)), ";"), ";")
	for i, part := range parts {
		name, number, _ := strings.Cut(part, "=")
		switch name {
		case "UNTIL":
			until, err := readMoment(number, "", zone)
			if err != nil {
				return rule{}, fmt.Errorf("UNTIL: %w", err)
			}
			read.until = &until
			parts[i] = ""
		case "INTERVAL", "COUNT":
			if strings.Trim(number, "0") == "" || strings.HasPrefix(number, "-") {
				return rule{}, fmt.Errorf("%s must be 1 or more", name)
			}
		case "DTSTART", "BYEASTER":
			return rule{}, fmt.Errorf("%s is not part of a rule", name)
		}
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	option, err := rrule.StrToROption(strings.Join(parts, ";"))
	if err != nil {
		return rule{}, err
	}
	read.option = *option
	return read, checkRule(read.option)
}

// checkRule refuses what the library would search for ever, run out of memory over, or index out of bounds with.
func checkRule(option rrule.ROption) error {
	switch {
	case option.Freq > rrule.HOURLY:
		return errors.New("an event that repeats more often than hourly is not supported; write one longer event")
	case option.Interval > maxInterval:
		return fmt.Errorf("INTERVAL is more than %d", maxInterval)
	case option.Freq != rrule.YEARLY && len(option.Byweekno) > 0:
		return errors.New("only a yearly rule has BYWEEKNO")
	case option.Freq == rrule.HOURLY && len(option.Bysetpos) > 0:
		return errors.New("an hourly rule with BYSETPOS is not supported; name the hours")
	case timesADay(option) > maxTimesADay:
		return fmt.Errorf("it names more than %d times of a day; write one longer event", maxTimesADay)
	}
	if neverInAMonth(option) {
		return errors.New("no month of BYMONTH has a day of BYMONTHDAY")
	}
	for _, list := range [][]int{option.Bysetpos, option.Bymonth, option.Bymonthday, option.Byyearday, option.Byweekno} {
		if len(list) > maxList {
			return fmt.Errorf("it has a list of more than %d numbers", maxList)
		}
	}
	if len(option.Byweekday) > maxList {
		return fmt.Errorf("it has a list of more than %d days", maxList)
	}
	for _, weekday := range option.Byweekday {
		n := max(weekday.N(), -weekday.N())
		if n > 0 && option.Freq > rrule.MONTHLY {
			return errors.New("only a monthly or yearly rule has numbers in BYDAY")
		}
		if n > 5 && (option.Freq == rrule.MONTHLY || len(option.Bymonth) > 0) {
			return errors.New("a month has no more than 5 of a weekday (BYDAY)")
		}
	}
	_, err := rrule.NewRRule(option) // the bounds of all numbers
	return err
}

// neverInAMonth finds the commonest rule that never comes, the 30th of February: the library would look through 8,000 years.
func neverInAMonth(option rrule.ROption) bool {
	if len(option.Bymonth) == 0 || len(option.Bymonthday) == 0 {
		return false
	}
	for _, month := range option.Bymonth {
		longest := time.Date(2024, time.Month(month+1), 0, 0, 0, 0, 0, time.UTC).Day() // in a leap year
		for _, day := range option.Bymonthday {
			if max(day, -day) <= longest {
				return false
			}
		}
	}
	return true
}

// reaches tells whether an hourly rule that begins at an hour ever comes to one that it names. The library would look for
// it for ever.
func reaches(option rrule.ROption, begins int) bool {
	if option.Freq != rrule.HOURLY || len(option.Byhour) == 0 {
		return true
	}
	for n, hour := 0, begins; n < 24; n, hour = n+1, (hour+max(option.Interval, 1))%24 {
		if slices.Contains(option.Byhour, hour) {
			return true
		}
	}
	return false
}
