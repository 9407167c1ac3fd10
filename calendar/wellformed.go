package calendar

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const (
	maxBytes = 5 << 20 // of a calendar
	maxHead  = 8 << 10 // bytes of a line before its value: name and parameters
	maxDepth = 8       // of components in components; alarms in events in calendars are three
)

// head is the part of a line before its value (RFC 5545, 3.1), as wide as the decoder reads it.
var head = regexp.MustCompile(`^[^;:="]+(?:;[^;:="]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*:`)

// wellFormed checks what the decoder does not: it panics on lines without a value, takes quadratic time for long
// parameters and a stack frame for each component in a component. It also knows what commonly comes in a calendar's place.
func wellFormed(raw []byte) error {
	if len(raw) > maxBytes {
		return fmt.Errorf("is larger than %d MB; let the calendar program publish fewer or newer events", maxBytes>>20)
	}
	if err := wrongKind(raw); err != nil {
		return err
	}
	var open []string
	err := eachLine(raw, func(number int, line []byte, last bool) error {
		at := head.FindIndex(line[:min(len(line), maxHead)])
		if at == nil && last && len(open) > 0 {
			return nil // half a line: it was cut off
		}
		if at == nil {
			return fmt.Errorf("line %d is not iCalendar: %q; a line is NAME:VALUE", number, short(string(line)))
		}
		value := strings.ToUpper(strings.TrimSpace(string(line[at[1]:min(len(line), at[1]+64)])))
		switch strings.ToUpper(string(line[:at[1]])) {
		case "BEGIN:":
			open = append(open, value)
		case "END:":
			if len(open) == 0 || open[len(open)-1] != value {
				return fmt.Errorf("line %d ends a %s that was not begun", number, value)
			}
			open = open[:len(open)-1]
		}
		if len(open) > maxDepth {
			return fmt.Errorf("line %d: more than %d components within each other", number, maxDepth)
		}
		return nil
	})
	if err == nil && len(open) > 0 {
		return fmt.Errorf("was cut off: it ends within %s; look whether its program or the network broke off", open[len(open)-1])
	}
	return err
}

// wrongKind tells what stands in the place of a calendar.
func wrongKind(raw []byte) error {
	start := bytes.ToLower(bytes.TrimSpace(raw[:min(len(raw), 1<<10)]))
	switch {
	case len(start) == 0:
		return errors.New("is empty; an empty calendar is BEGIN:VCALENDAR and END:VCALENDAR")
	case bytes.HasPrefix(start, []byte("<")):
		return errors.New("is an HTML or XML page, perhaps a login page, and not a calendar; " +
			"use the calendar's private address in iCal format")
	case !bytes.HasPrefix(start, []byte("begin:vcalendar")):
		return fmt.Errorf("is not a calendar: it begins with %q in place of BEGIN:VCALENDAR", short(string(start[:min(len(start), 40)])))
	}
	return nil
}

// eachLine visits the unfolded lines (RFC 5545, 3.1) that are not empty, with the number of their first line.
func eachLine(raw []byte, visit func(number int, line []byte, last bool) error) error {
	var line []byte
	began, number := 1, 0
	for len(raw) > 0 {
		number++
		physical, rest, _ := bytes.Cut(raw, []byte("\n"))
		raw = rest
		line = append(line, bytes.TrimSuffix(physical, []byte("\r"))...)
		if len(raw) > 0 && (raw[0] == ' ' || raw[0] == '\t') {
			raw = raw[1:]
			continue
		}
		if len(line) > 0 {
			if err := visit(began, line, len(raw) == 0); err != nil {
				return err
			}
		}
		line, began = line[:0], number+1
	}
	return nil
}
