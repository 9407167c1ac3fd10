package calendar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-ical"
)

// event is one VEVENT: a single event, a series, or one repetition that replaces another.
type event struct {
	uid, summary string
	sequence     int
	cancelled    bool
	said         said
	start        moment
	length       length
	rules        []rule
	dates        []repetition // RDATE
	except       moments      // EXDATE, and what other events replace
	replaces     *moment      // RECURRENCE-ID
}

// repetition is one that RDATE adds.
type repetition struct {
	start  moment
	length length
}

// length is how long an event lasts: days by the clock on the wall, and seconds.
type length struct {
	days    int
	seconds int64
}

// after is the end of what begins at start.
func (l length) after(start moment) time.Time {
	start.wall = start.wall.AddDate(0, 0, l.days)
	begins := start.instant()
	return time.Unix(begins.Unix()+l.seconds, 0)
}

// check refuses an end that cannot be written as text.
func (l length) check(start moment) error {
	if l.after(start).UTC().Year() > maxYear {
		return fmt.Errorf("it ends after the year %d", maxYear)
	}
	return nil
}

// revisionKey is the same for the revisions of one event.
func (e event) revisionKey() string {
	if e.replaces == nil {
		return e.uid
	}
	return e.uid + "\n" + strconv.FormatInt(e.replaces.instant().Unix(), 10)
}

func (e event) title() string { return "event " + strconv.Quote(short(e.summary)) }

func readEvent(component *ical.Component, zones *zones) (event, error) {
	one := event{uid: text(component, ical.PropUID), summary: text(component, ical.PropSummary)}
	one.cancelled = strings.EqualFold(text(component, ical.PropStatus), string(ical.EventCancelled))
	if sequence := text(component, ical.PropSequence); sequence != "" {
		var err error
		if one.sequence, err = strconv.Atoi(sequence); err != nil || one.sequence < 0 {
			return one, fmt.Errorf("SEQUENCE %q is not a number", short(sequence))
		}
	}
	if err := one.readTimes(component, zones); err != nil {
		return one, err
	}
	if one.cancelled {
		return one, nil // what it would have done is of no interest
	}
	var err error
	if one.said, err = readSaid(component); err != nil {
		return one, err
	}
	if one.length == (length{}) && one.said.how != "" {
		return one, fmt.Errorf("%s says what it does, but it is over as it begins; give it an end (DTEND)", one.said.how)
	}
	return one, one.readRepetitions(component, zones)
}

// readTimes reads when it is, and which repetition it replaces.
func (e *event) readTimes(component *ical.Component, zones *zones) error {
	if prop := component.Props.Get(ical.PropRecurrenceID); prop != nil {
		if prop.Params.Get(ical.ParamRange) != "" {
			return errors.New("RECURRENCE-ID with RANGE is not understood; let the program split the series in two")
		}
		replaces, err := zones.moment(prop)
		if err != nil {
			return err
		}
		e.replaces = &replaces
	}
	prop := component.Props.Get(ical.PropDateTimeStart)
	if prop == nil && e.cancelled && e.replaces != nil {
		e.start = *e.replaces // a cancelled repetition needs no more than its identity
		return nil
	}
	if prop == nil {
		return errors.New("it has no DTSTART, so that nobody can tell when it is")
	}
	var err error
	if e.start, err = zones.moment(prop); err != nil {
		return err
	}
	if e.length, err = readLength(component, zones, e.start); err != nil {
		return err
	}
	return e.length.check(e.start)
}

// readLength is how long the event lasts, from DTEND, DURATION or neither (RFC 5545, 3.6.1).
func readLength(component *ical.Component, zones *zones, start moment) (length, error) {
	if prop := component.Props.Get(ical.PropDateTimeEnd); prop != nil {
		end, err := zones.moment(prop)
		if err != nil {
			return length{}, err
		}
		return lengthBetween(start, end)
	}
	if prop := component.Props.Get(ical.PropDuration); prop != nil {
		return readDuration(prop.Value)
	}
	if start.day {
		return length{days: 1}, nil
	}
	return length{}, nil
}

// lengthBetween is in days between two days, else in seconds. A day that ends at itself is that one day: some programs
// write the last day, not the one after it.
func lengthBetween(start, end moment) (length, error) {
	if start.day && end.day {
		days := int((end.wall.Unix() - start.wall.Unix()) / (24 * 60 * 60))
		if days < 0 {
			return length{}, errors.New("it ends before it begins; correct DTSTART or DTEND")
		}
		return length{days: max(days, 1)}, nil
	}
	seconds := end.instant().Unix() - start.instant().Unix()
	if seconds < 0 {
		return length{}, errors.New("it ends before it begins; correct DTSTART or DTEND")
	}
	return length{seconds: seconds}, nil
}

var duration = regexp.MustCompile(`^\+?P(?:(\d{1,7})W)?(?:(\d{1,7})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?$`)

// readDuration reads what the standard calls a nominal duration (RFC 5545, 3.3.6): weeks and days by the clock on the
// wall, the rest in exact time. The library's reader makes 24 hours of each day.
func readDuration(value string) (length, error) {
	value = strings.ToUpper(strings.TrimSpace(value))
	parts := duration.FindStringSubmatch(value)
	if parts == nil || strings.HasSuffix(value, "T") || strings.HasSuffix(value, "P") {
		return length{}, fmt.Errorf("DURATION %q is not understood; write it as PT90M, PT2H or P1D", short(value))
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(parts[i], 10, 64) // digits, at most nine, or nothing
		return n
	}
	return length{days: int(number(1)*7 + number(2)), seconds: number(3)*3600 + number(4)*60 + number(5)}, nil
}
