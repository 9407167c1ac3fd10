package calendar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-ical"
)

// The years for which a calendar's own definition of a zone is worked out. What repeats is counted on the wall, so that
// an earlier start takes no harm.
var (
	zoneFrom  = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	zoneUntil = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// change is a change of the clock.
type change struct {
	at       int64 // Unix seconds
	from, to int   // seconds east of UTC
}

// definedZone makes a zone of a VTIMEZONE (RFC 5545, 3.6.5) by way of the form in which zones are stored (RFC 8536).
func definedZone(definition *ical.Component, work *budget) (*time.Location, error) {
	var changes []change
	for _, observance := range definition.Children {
		found, err := changesOf(observance, work)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", observance.Name, err)
		}
		changes = append(changes, found...)
	}
	if len(changes) == 0 {
		return nil, errors.New("it has neither STANDARD nor DAYLIGHT")
	}
	slices.SortStableFunc(changes, func(a, b change) int { return int(max(-1, min(1, a.at-b.at))) })
	data, err := tzif(changes)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(text(definition, ical.PropTimezoneID), data)
}

// changesOf are the changes of one observance: its start, its dates and its rule, all by the clock before the change.
func changesOf(observance *ical.Component, work *budget) ([]change, error) {
	from, err := readOffset(observance, ical.PropTimezoneOffsetFrom)
	if err != nil {
		return nil, err
	}
	to, err := readOffset(observance, ical.PropTimezoneOffsetTo)
	if err != nil {
		return nil, err
	}
	before := &zones{floating: time.FixedZone("", from), made: map[string]*time.Location{}}
	prop := observance.Props.Get(ical.PropDateTimeStart)
	if prop == nil {
		return nil, errors.New("it has no DTSTART")
	}
	series := event{length: length{seconds: 1}}
	if series.start, err = before.moment(prop); err != nil {
		return nil, err
	}
	if err := series.readRepetitions(observance, before); err != nil {
		return nil, err
	}
	spans, err := series.spans(zoneFrom, zoneUntil, work)
	if err != nil {
		return nil, err
	}
	changes := make([]change, 0, len(spans)+1)
	if first := series.start.instant(); first.Before(zoneFrom) {
		changes = append(changes, change{first.Unix(), from, to}) // the rule may have no repetition since 1970
	}
	for _, one := range spans {
		changes = append(changes, change{one.from.Unix(), from, to})
	}
	return changes, nil
}

var utcOffset = regexp.MustCompile(`^([+-])(\d\d)(\d\d)(\d\d)?$`)

// readOffset reads an offset from UTC: +0130 or -033015, less than a day.
func readOffset(observance *ical.Component, name string) (int, error) {
	written := text(observance, name)
	parts := utcOffset.FindStringSubmatch(strings.TrimSpace(written))
	if parts == nil || parts[2] > "23" || parts[3] > "59" || parts[4] > "59" {
		return 0, fmt.Errorf("%s %q is not an offset such as +0100", name, short(written))
	}
	seconds := 0
	for i, unit := range []int{3600, 60, 1} {
		number, _ := strconv.Atoi("0" + parts[2+i]) // digits or nothing
		seconds += number * unit
	}
	if parts[1] == "-" {
		seconds = -seconds
	}
	return seconds, nil
}

// tzif writes changes, sorted, as a file of version 2, whose first part is for old readers and may be empty.
func tzif(changes []change) ([]byte, error) {
	kinds := []int{changes[0].from} // the first is how it was before all changes; no change leads to it
	var times, indices []byte
	for _, c := range changes {
		kind := 1 + slices.Index(kinds[1:], c.to)
		if kind == 0 {
			kind = len(kinds)
			kinds = append(kinds, c.to)
		}
		times = binary.BigEndian.AppendUint64(times, uint64(c.at))
		indices = append(indices, byte(kind))
	}
	if len(kinds) > 255 {
		return nil, errors.New("it has more than 255 offsets")
	}
	header := func(changes, kinds, letters int) []byte {
		b := append([]byte("TZif2"), make([]byte, 15+3*4)...)
		for _, count := range []int{changes, kinds, letters} {
			b = binary.BigEndian.AppendUint32(b, uint32(count))
		}
		return b
	}
	data := append(header(0, 0, 0), header(len(changes), len(kinds), 1)...)
	data = append(append(data, times...), indices...)
	for _, seconds := range kinds {
		data = binary.BigEndian.AppendUint32(data, uint32(int32(seconds)))
		data = append(data, 0, 0)
	}
	return append(data, "\x00\n\n"...), nil
}
