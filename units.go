package jenner

import (
	"fmt"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as people write it: `300ms`, `10m`, `1h30m`, `30d`, `2w`. A bare number is refused,
// for nobody can tell its unit. Negative durations are refused.
type Duration time.Duration

var durationPart = regexp.MustCompile(`(\d+(?:\.\d+)?)(ms|us|µs|ns|s|m|h|d|w)`)

var durationUnit = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseDuration reads a duration. The error says what a right one looks like.
func ParseDuration(text string) (Duration, error) {
	text = strings.TrimSpace(text)
	parts := durationPart.FindAllStringSubmatch(text, -1)
	if text == "0" {
		return 0, nil
	}
	if len(parts) == 0 || len(text) != len(joined(parts)) {
		return 0, fmt.Errorf("%q is not a duration; write a number and a unit, such as 300ms, 5s, 10m, 2h or 30d", text)
	}
	var total float64
	for _, part := range parts {
		number, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration: %w", text, err)
		}
		total += number * float64(durationUnit[part[2]])
	}
	if total >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too long; the longest duration is about 292 years", text)
	}
	return Duration(math.Round(total)), nil
}

func joined(parts [][]string) string {
	var whole strings.Builder
	for _, part := range parts {
		whole.WriteString(part[0])
	}
	return whole.String()
}

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// MarshalText writes the form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes whole days as days, and everything else as Go does, without trailing zero units.
func (d Duration) String() string {
	std := time.Duration(d)
	if std != 0 && std%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(std/(24*time.Hour)), 10) + "d"
	}
	text := std.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Std is the same length as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Or is d, or fallback where d is zero.
func (d Duration) Or(fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return time.Duration(d)
}

// Number is a threshold: `0.7`, `120`, or a share written as `70%`, which is the number 0.7.
type Number float64

// UnmarshalText reads a number or a percentage.
func (n *Number) UnmarshalText(text []byte) error {
	value, err := parseNumber(string(text))
	if err != nil {
		return err
	}
	*n = Number(value)
	return nil
}

// UnmarshalJSON reads a number, or a string that UnmarshalText reads.
func (n *Number) UnmarshalJSON(raw []byte) error { return n.UnmarshalText(unquoted(raw)) }

// unquoted lets one reader serve a JSON number and a JSON string.
func unquoted(raw []byte) []byte { return []byte(strings.Trim(string(raw), `"`)) }

func parseNumber(text string) (float64, error) {
	text = strings.TrimSpace(text)
	digits, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, fmt.Errorf("%q is not a number; write 0.7, 120 or 70%%", text)
	}
	if percent {
		value /= 100
	}
	return value, nil
}

// Share is a part of a whole in [0,1], written as `99.9%` or `0.999`.
type Share float64

// UnmarshalText reads a share and refuses what is outside [0,1].
func (s *Share) UnmarshalText(text []byte) error {
	value, err := parseNumber(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a share; write 15%% or 0.15", text)
	}
	if value < 0 || value > 1 {
		return fmt.Errorf("%q is outside 0%% to 100%%", text)
	}
	*s = Share(value)
	return nil
}

// MarshalText writes the share as a percentage.
func (s Share) MarshalText() ([]byte, error) {
	return []byte(strconv.FormatFloat(float64(s)*100, 'g', 12, 64) + "%"), nil
}

// Confidence is how sure a diagnosis is, in [0,1]. People may also write low (0.5), medium (0.75) or high (0.9).
type Confidence float64

var confidenceWords = map[string]Confidence{"low": 0.5, "medium": 0.75, "high": 0.9}

// UnmarshalText reads a word, a number in [0,1] or a percentage.
func (c *Confidence) UnmarshalText(text []byte) error {
	if word, ok := confidenceWords[string(text)]; ok {
		*c = word
		return nil
	}
	value, err := parseNumber(string(text))
	if err != nil || value < 0 || value > 1 {
		return fmt.Errorf("%q is not a confidence; write low, medium, high, or a number from 0 to 1", text)
	}
	*c = Confidence(value)
	return nil
}

// UnmarshalJSON reads a number, or a string that UnmarshalText reads.
func (c *Confidence) UnmarshalJSON(raw []byte) error { return c.UnmarshalText(unquoted(raw)) }

// Limit is how much may be touched at most: a share of what there is, a count, or both, of which the smaller holds.
// It is written as `15%`, `3` or `15% 3`. The zero Limit allows nothing.
type Limit struct {
	Share *Share
	Count *int
}

// UnmarshalText reads a share, a count, or both with a blank or a comma between them.
func (l *Limit) UnmarshalText(text []byte) error {
	words := strings.FieldsFunc(string(text), func(r rune) bool { return r == ' ' || r == ',' })
	var read Limit
	for _, word := range words {
		if strings.HasSuffix(word, "%") && read.Share == nil {
			read.Share = new(Share)
			if err := read.Share.UnmarshalText([]byte(word)); err != nil {
				return err
			}
			continue
		}
		count, err := strconv.Atoi(word)
		if err != nil || count < 0 || read.Count != nil {
			return fmt.Errorf("%q is not a limit; write a share such as 15%%, a count such as 3, or both", text)
		}
		read.Count = &count
	}
	if len(words) == 0 {
		return fmt.Errorf("an empty limit would allow nothing; write a share such as 15%% or a count such as 3")
	}
	*l = read
	return nil
}

// MarshalText writes the form that UnmarshalText reads.
func (l Limit) MarshalText() ([]byte, error) {
	var words []string
	if l.Share != nil {
		share, _ := l.Share.MarshalText()
		words = append(words, string(share))
	}
	if l.Count != nil {
		words = append(words, strconv.Itoa(*l.Count))
	}
	return []byte(strings.Join(words, " ")), nil
}

// Of is the most that l allows of a whole of total things. A share rounds down, but not below one: a share of a small
// whole would otherwise never allow anything. A total of zero or less allows nothing.
func (l Limit) Of(total int) int {
	if total <= 0 || (l.Share == nil && l.Count == nil) {
		return 0
	}
	most := total
	if l.Share != nil {
		// The small addend undoes binary rounding: 0.29*100 is 28.999999999999996.
		most = int(math.Floor(float64(*l.Share)*float64(total) + 1e-9))
		if *l.Share > 0 {
			most = max(most, 1)
		}
	}
	if l.Count != nil {
		most = min(most, *l.Count)
	}
	return min(most, total)
}

// BlastRadius limits what one step, or one policy, may touch: `max_connections: 15%`, `max_pods: 2`. The key is `max_`
// and the action's own unit.
type BlastRadius map[string]Limit

// Units are the units that b limits, sorted.
func (b BlastRadius) Units() []string {
	units := make([]string, 0, len(b))
	for key := range b {
		units = append(units, strings.TrimPrefix(key, "max_"))
	}
	sort.Strings(units)
	return units
}
