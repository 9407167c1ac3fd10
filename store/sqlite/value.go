package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
)

// PutValue keeps a value under a key, in place of an earlier one. An empty value is a value.
func (s *Store) PutValue(ctx context.Context, key string, value []byte) error {
	if key == "" {
		return jenner.Permanent(errors.New("a value has no key"), "")
	}
	if value == nil {
		value = []byte{}
	}
	return s.change(ctx, "keeping value "+key, func(t *tx) error {
		return t.exec("INSERT OR REPLACE INTO settings (key, value, sum) VALUES (?, ?, ?)", key, value, bodySum(value))
	})
}

// Value gives the value under a key; the error wraps jenner.ErrNotFound where there is none.
func (s *Store) Value(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	known := false
	err := s.ask(ctx, s, "reading value "+key, func(row *sql.Rows) error {
		known = true
		var sum int64
		if err := row.Scan(&value, &sum); err != nil {
			return err
		}
		if sum != bodySum(value) {
			return errDamaged
		}
		return nil
	}, "SELECT value, sum FROM settings WHERE key = ?", key)
	if err == nil && !known {
		err = fmt.Errorf("value %s: %w", key, jenner.ErrNotFound)
	}
	return value, err
}
