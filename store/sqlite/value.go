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
		return t.exec("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", key, value)
	})
}

// Value gives the value under a key; the error wraps jenner.ErrNotFound where there is none.
func (s *Store) Value(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	known := false
	err := s.ask(ctx, s, "reading value "+key, func(row *sql.Rows) error {
		known = true
		return row.Scan(&value)
	}, "SELECT value FROM settings WHERE key = ?", key)
	if err == nil && !known {
		err = fmt.Errorf("value %s: %w", key, jenner.ErrNotFound)
	}
	return value, err
}
