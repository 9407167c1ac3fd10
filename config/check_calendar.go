package config

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// soonest is how often a calendar may be read at most: it is a page on somebody else's server.
const soonest = 10 * time.Second

func (c *checker) calendar(calendar jenner.Calendar) {
	d := c.document(kindCalendar, calendar.Name, calendar.Source)
	d.ics(calendar)
	if every := calendar.Every.Std(); d.written("/every") && every < soonest {
		d.problem("/every", "calendar %s would be read every %s; write %s or more", calendar.Name, calendar.Every, jenner.Duration(soonest))
	}
	d.oneOf("/effect", "effect", string(calendar.Effect), spelled(effects)...)
	switch {
	case !d.written("/lower_by"):
	case calendar.LowerBy <= 0:
		d.problem("/lower_by", "lower_by of calendar %s is 0 and would lower nothing; write 20%%, or leave it out", calendar.Name)
	case calendar.Effect != jenner.PlannedLower:
		d.warn("/lower_by", "lower_by counts only for events that say the effect lower themselves; for all of them add effect: lower")
	}
	d.selector("/services", calendar.Services)
}

// ics must be a page that can be asked for, or a file that is there.
func (d document) ics(calendar jenner.Calendar) {
	const path = "/ics"
	if strings.TrimSpace(calendar.ICS) == "" {
		d.problem(path, "calendar %s does not say where it is; write a file, or an http or https URL", calendar.Name)
		return
	}
	if scheme, rest, isURL := strings.Cut(calendar.ICS, "://"); isURL {
		address, err := url.Parse(calendar.ICS)
		switch {
		case scheme == "webcal":
			d.problem(path, "calendar %s cannot be read as webcal; write https://%s", calendar.Name, rest)
		case err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https":
			d.problem(path, "%q is no address of a calendar; write http://HOST/PATH or https://HOST/PATH, or a file", calendar.ICS)
		}
		return
	}
	file := calendar.ICS
	if !filepath.IsAbs(file) {
		file = filepath.Join(calendar.Dir, file)
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		d.problem(path, "the file %s of calendar %s cannot be read: %s", calendar.ICS, calendar.Name, cause(err))
	case !info.Mode().IsRegular():
		d.problem(path, "%s of calendar %s is no regular file", calendar.ICS, calendar.Name)
	}
}
