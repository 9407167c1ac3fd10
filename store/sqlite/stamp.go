package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// stamp is a time as the database keeps it: nanoseconds since 1970 in UTC, and 0 for the zero time. The one moment that
// cannot be kept is the first nanosecond of 1970.
type stamp time.Time

var (
	earliest = time.Unix(0, math.MinInt64)
	latest   = time.Unix(0, math.MaxInt64)
)

// Value fulfils driver.Valuer. Years before 1678 and after 2261 are refused.
func (s stamp) Value() (driver.Value, error) {
	t := time.Time(s)
	if t.IsZero() {
		return int64(0), nil
	}
	if t.Before(earliest) || t.After(latest) {
		return nil, fmt.Errorf("the time %s cannot be stored: the years 1678 to 2261 can", t.UTC().Format(time.RFC3339))
	}
	return t.UnixNano(), nil
}

// Scan fulfils sql.Scanner.
func (s *stamp) Scan(from any) error {
	nanoseconds, ok := from.(int64)
	if !ok {
		return fmt.Errorf("a stored time is %T and not a number", from)
	}
	*s = stamp{}
	if nanoseconds != 0 {
		*s = stamp(time.Unix(0, nanoseconds).UTC())
	}
	return nil
}

// blob keeps 'none' apart from a value: an empty message is no JSON.
func blob(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return []byte(raw)
}

// text is a value of the vocabulary as the database keeps it.
func text(value any) ([]byte, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%T cannot be written as JSON: %w", value, err)
	}
	return body, nil
}
