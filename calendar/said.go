package calendar

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-ical"
	"github.com/jenner-heal/jenner"
)

// defaultLowerBy is by how much an event lowers confidence where neither it nor its calendar says.
const defaultLowerBy = 0.2

const (
	propEffect   = "X-JENNER-EFFECT"
	propServices = "X-JENNER-SERVICES"
	category     = "jenner-"
	lineStart    = "jenner:"
)

// said is what an event says about itself. What it does not say is empty.
type said struct {
	how      string // where it said so; empty: nowhere
	effect   jenner.PlannedEffect
	share    *float64
	services []string // sorted
}

// readSaid reads all ways in which an event may say what it does.
func readSaid(component *ical.Component) (said, error) {
	var all said
	for _, way := range []func(*ical.Component) ([]said, error){saidByProperties, saidByCategories, saidByDescription} {
		found, err := way(component)
		if err != nil {
			return said{}, err
		}
		for _, one := range found {
			if all, err = all.and(one); err != nil {
				return said{}, err
			}
		}
	}
	if all.share != nil && all.effect != jenner.PlannedLower {
		return said{}, fmt.Errorf("%s gives a share, which only lower has", all.how)
	}
	return all, nil
}

// and joins two ways, which must not contradict each other: there is no telling which one is meant.
func (s said) and(other said) (said, error) {
	contradict := func(what string) (said, error) {
		return said{}, fmt.Errorf("%s and %s say different %s; say it in one way only", s.how, other.how, what)
	}
	switch {
	case s.how == "":
		return other, nil
	case s.effect != "" && other.effect != "" && s.effect != other.effect:
		return contradict("effects (" + string(s.effect) + ", " + string(other.effect) + ")")
	case s.share != nil && other.share != nil && *s.share != *other.share:
		return contradict("shares")
	case len(s.services) > 0 && len(other.services) > 0 && !slices.Equal(s.services, other.services):
		return contradict("services")
	}
	if s.effect == "" {
		s.effect = other.effect
	}
	if s.share == nil {
		s.share = other.share
	}
	if len(s.services) == 0 {
		s.services = other.services
	}
	s.how += ", " + other.how
	return s, nil
}

func saidByProperties(component *ical.Component) ([]said, error) {
	var found []said
	for _, prop := range component.Props.Values(propEffect) {
		one, rest, err := readEffect(propEffect, escapes.Replace(prop.Value))
		if err != nil {
			return nil, err
		}
		if rest != "" {
			return nil, fmt.Errorf("%s: %q is too much; name services in %s", propEffect, short(rest), propServices)
		}
		found = append(found, one)
	}
	for _, prop := range component.Props.Values(propServices) {
		names, err := readServices(propServices, escapes.Replace(prop.Value))
		if err != nil {
			return nil, err
		}
		found = append(found, said{how: propServices, services: names})
	}
	return found, nil
}

func saidByCategories(component *ical.Component) ([]said, error) {
	var found []said
	for _, prop := range component.Props.Values(ical.PropCategories) {
		for _, name := range strings.Split(escapes.Replace(prop.Value), ",") {
			word, ours := strings.CutPrefix(strings.ToLower(strings.TrimSpace(name)), category)
			if !ours {
				continue
			}
			one, rest, err := readEffect("CATEGORIES", word)
			if err == nil && (rest != "" || one.share != nil) {
				err = fmt.Errorf("CATEGORIES: %q is not known; write jenner-freeze, jenner-approve or jenner-lower", short(name))
			}
			if err != nil {
				return nil, err
			}
			found = append(found, one)
		}
	}
	return found, nil
}

func saidByDescription(component *ical.Component) ([]said, error) {
	var found []said
	for _, prop := range component.Props.Values(ical.PropDescription) {
		for _, line := range plainLines(escapes.Replace(prop.Value)) {
			if len(line) < len(lineStart) || !strings.EqualFold(line[:len(lineStart)], lineStart) {
				continue
			}
			how := strconv.Quote(short(line))
			one, rest, err := readEffect(how, line[len(lineStart):])
			if err != nil {
				return nil, err
			}
			if rest != "" {
				if one.services, err = readServices(how, rest); err != nil {
					return nil, err
				}
			}
			found = append(found, one)
		}
	}
	return found, nil
}

// readEffect reads `freeze`, `approve`, `lower` or `lower 30%`, and gives what follows.
func readEffect(how, words string) (said, string, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(words)+" ", " ")
	rest = strings.TrimSpace(rest)
	one := said{how: how, effect: jenner.PlannedEffect(strings.ToLower(word))}
	switch one.effect {
	case jenner.PlannedFreeze, jenner.PlannedApprove:
		return one, rest, nil
	case jenner.PlannedLower:
	default:
		return said{}, "", fmt.Errorf("%s: effect %q is not known; write freeze, approve, lower, or lower with a share such as lower 30%%",
			how, short(word))
	}
	number, after, _ := strings.Cut(rest+" ", " ")
	if _, err := strconv.ParseFloat(strings.TrimSuffix(number, "%"), 64); err != nil && !strings.HasSuffix(number, "%") {
		return one, rest, nil // no share but the name of a service, or nothing
	}
	var share jenner.Share
	if err := share.UnmarshalText([]byte(number)); err != nil {
		return said{}, "", fmt.Errorf("%s: %w", how, err)
	}
	value := float64(share)
	one.share = &value
	return one, strings.TrimSpace(after), nil
}

// readServices reads names with commas between them. A name is one word, so that a sentence after the effect is noticed.
func readServices(how, list string) ([]string, error) {
	var names []string
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" || len(strings.Fields(name)) != 1 {
			return nil, fmt.Errorf("%s: %q is not the name of a service; write names with commas between them, such as checkout, payments",
				how, short(name))
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

var (
	breaks = regexp.MustCompile(`(?i)</?(?:br|p|div|li|ul|ol|tr|h[1-6])\b[^<>]*>`)
	tags   = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)
)

// plainLines are the lines of a description, which the web pages of some programs write as HTML.
func plainLines(description string) []string {
	if !strings.Contains(strings.ToLower(description), "jenner") {
		return nil
	}
	description = tags.ReplaceAllString(breaks.ReplaceAllString(description, "\n"), "")
	description = strings.ReplaceAll(html.UnescapeString(description), "\u00a0", " ")
	lines := strings.FieldsFunc(description, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return lines
}
