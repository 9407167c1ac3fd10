package calendar

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the zones, also on machines and in images that have no files of them

	"github.com/emersion/go-ical"
)

// zones are those that one calendar object knows.
type zones struct {
	defined  map[string]*ical.Component
	made     map[string]*time.Location
	floating *time.Location // of days, and of times that name no zone
	work     *budget
}

// zonesOf finds the definitions, and the zone of what names none.
func zonesOf(object *ical.Component, work *budget) (*zones, error) {
	z := &zones{defined: map[string]*ical.Component{}, made: map[string]*time.Location{}, floating: time.UTC, work: work}
	only := ""
	for _, child := range object.Children {
		if strings.TrimSpace(child.Name) == ical.CompTimezone {
			only = text(child, ical.PropTimezoneID)
			z.defined[only] = child
		}
	}
	name := text(object, "X-WR-TIMEZONE")
	if name == "" && len(z.defined) == 1 {
		name = only
	}
	if name == "" {
		return z, nil
	}
	var err error
	z.floating, err = z.named(name)
	return z, err
}

// named finds a zone by the name that a calendar gives it. See the package comment for the order.
func (z *zones) named(tzid string) (*time.Location, error) {
	tzid = strings.TrimSpace(tzid)
	if made, known := z.made[tzid]; known {
		return made, nil
	}
	zone, err := z.find(tzid)
	if err == nil {
		z.made[tzid] = zone
	}
	return zone, err
}

func (z *zones) find(tzid string) (*time.Location, error) {
	if zone, known := ianaZone(tzid); known && (strings.Contains(tzid, "/") || zone == time.UTC) {
		return zone, nil
	}
	if name, windows := windowsZones[tzid]; windows {
		return time.LoadLocation(name)
	}
	if zone, known := behindPrefix(tzid); known {
		return zone, nil
	}
	if definition, is := z.defined[tzid]; is {
		zone, err := definedZone(definition, z.work)
		if err != nil {
			return nil, fmt.Errorf("the definition of time zone %q (VTIMEZONE): %w", short(tzid), err)
		}
		return zone, nil
	}
	if zone, known := ianaZone(tzid); known {
		return zone, nil
	}
	return nil, fmt.Errorf("time zone %q is not known; use a name such as Europe/Berlin, or define it in the calendar (VTIMEZONE)",
		short(tzid))
}

// ianaZone leaves out Local, which is this machine's and nobody else's.
func ianaZone(name string) (*time.Location, bool) {
	switch strings.ToUpper(name) {
	case "", "LOCAL":
		return nil, false
	case "UTC", "Z", "ETC/UTC":
		return time.UTC, true
	}
	zone, err := time.LoadLocation(name)
	return zone, err == nil
}

// behindPrefix reads the names that Thunderbird and Evolution give: /mozilla.org/20050126_1/Europe/Berlin.
func behindPrefix(tzid string) (*time.Location, bool) {
	if !strings.HasPrefix(tzid, "/") {
		return nil, false
	}
	for rest := tzid[1:]; strings.Contains(rest, "/"); {
		_, rest, _ = strings.Cut(rest, "/")
		if zone, known := ianaZone(rest); known && rest != "" {
			return zone, true
		}
	}
	return nil, false
}
