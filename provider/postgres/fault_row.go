package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("row", "Spoil one row: bad data", func() chaos.Fault { return &FaultRow{} })
}

// FaultRow changes one column of one row, in a transaction. What stood there is kept in the undo journal, and so lies on the
// disk of the machine that Jenner runs on. Its undo puts that back only where the row is still as the fault left it; what
// somebody else wrote since is kept and reported as residue.
type FaultRow struct {
	Table  string            `json:"table"`  // with its schema where the search path does not tell it
	Key    map[string]string `json:"key"`    // column to value; exactly one row must fit
	Column string            `json:"column"` // that is changed
	Value  string            `json:"value"`  // that it gets, as text
}

// Validate checks what can be checked without asking the server.
func (f *FaultRow) Validate() error {
	switch {
	case f.Table == "" || f.Column == "":
		return errors.New("table and column are needed")
	case len(f.Key) == 0:
		return errors.New("key is empty; write the columns and values by which the row is known")
	}
	if _, isKey := f.Key[f.Column]; isKey {
		return fmt.Errorf("column %s is part of the key, so that the row could not be found again", f.Column)
	}
	return nil
}

// spoiled is the checkpoint.
type spoiled struct {
	Table  string  `json:"table"`            // as the server calls it
	Type   string  `json:"type"`             // of the column
	Before *string `json:"before,omitempty"` // the value as text; nil where it was null
	After  string  `json:"after"`            // the value that the fault writes, as the server writes it
}

// Checkpoint keeps the value, and refuses where not exactly one row fits, or where it has that value already.
func (f *FaultRow) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = use(ctx, call.Record.Target, func(t *Target, conn *pgx.Conn) error {
		var kept spoiled
		err := conn.QueryRow(ctx, `SELECT attrelid::regclass::text, format_type(atttypid, atttypmod) FROM pg_attribute
			WHERE attrelid = to_regclass($1) AND attname = $2 AND attnum > 0 AND NOT attisdropped`, f.Table, f.Column).Scan(&kept.Table, &kept.Type)
		if errors.Is(err, pgx.ErrNoRows) {
			return jenner.Permanent(fmt.Errorf("%s has no table %q with a column %q", t.ref, f.Table, f.Column), "")
		}
		if err != nil {
			return err
		}
		if kept.Before, err = f.value(ctx, conn, kept.Table); err != nil {
			return err
		}
		if err := conn.QueryRow(ctx, "SELECT $1::text::"+kept.Type+"::text", f.Value).Scan(&kept.After); err != nil {
			return err
		}
		if kept.Before != nil && *kept.Before == kept.After {
			return jenner.Permanent(fmt.Errorf("%s: the row has that value already", t.ref), "")
		}
		raw = jenner.Raw(kept)
		return nil
	})
	return raw, err
}

// where is the condition that finds the row, with its arguments, the first of which is $first.
func (f *FaultRow) where(first int) (string, []any) {
	var conditions []string
	var args []any
	for i, column := range slices.Sorted(maps.Keys(f.Key)) {
		conditions = append(conditions, fmt.Sprintf("%s::text = $%d", pgx.Identifier{column}.Sanitize(), first+i))
		args = append(args, f.Key[column])
	}
	return strings.Join(conditions, " AND "), args
}

// errRow is that not exactly one row fits the key.
type errRow int

func (e errRow) Error() string {
	if e == 0 {
		return "no row fits the key"
	}
	return fmt.Sprintf("%d rows fit the key, and it must be one", int(e))
}

// value reads the column as text.
func (f *FaultRow) value(ctx context.Context, conn *pgx.Conn, table string) (*string, error) {
	where, args := f.where(1)
	rows, err := conn.Query(ctx, "SELECT "+pgx.Identifier{f.Column}.Sanitize()+"::text FROM "+table+" WHERE "+where+" LIMIT 2", args...)
	if err != nil {
		return nil, err
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err == nil && len(values) != 1 {
		err = jenner.Permanent(errRow(len(values)), "")
	}
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// swap writes a value where the other one stands, and tells whether it stood there.
func (f *FaultRow) swap(ctx context.Context, conn *pgx.Conn, kept spoiled, from, to *string) (bool, error) {
	where, args := f.where(3)
	column := pgx.Identifier{f.Column}.Sanitize()
	swapped := false
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE "+kept.Table+" SET "+column+" = $1::text::"+kept.Type+" WHERE "+column+
			"::text IS NOT DISTINCT FROM $2::text AND "+where, append([]any{to, from}, args...)...)
		if err == nil && tag.RowsAffected() > 1 {
			err = jenner.Permanent(errRow(int(tag.RowsAffected())), "")
		}
		swapped = tag.RowsAffected() == 1
		return err
	})
	return swapped && err == nil, err
}

// with reads the checkpoint and opens a connection.
func (f *FaultRow) with(ctx context.Context, call chaos.Call, do func(conn *pgx.Conn, kept spoiled) error) error {
	var kept spoiled
	if err := json.Unmarshal(call.Record.Checkpoint, &kept); err != nil {
		return fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return use(ctx, call.Record.Target, func(_ *Target, conn *pgx.Conn) error { return do(conn, kept) })
}

// Inject writes the bad value.
func (f *FaultRow) Inject(ctx context.Context, call chaos.Call) error {
	return f.with(ctx, call, func(conn *pgx.Conn, kept spoiled) error {
		swapped, err := f.swap(ctx, conn, kept, kept.Before, &kept.After)
		if err == nil && !swapped {
			err = jenner.Permanent(errors.New("the row has changed since it was looked at, and is left alone"), "")
		}
		return err
	})
}

// Bite looks whether the row has the bad value.
func (f *FaultRow) Bite(ctx context.Context, call chaos.Call) (witness chaos.Witness, err error) {
	witness.Bit, err = f.Armed(ctx, call)
	witness.Saw = fmt.Sprintf("%s.%s of the row is %q: %v", f.Table, f.Column, f.Value, witness.Bit)
	return witness, err
}

// Armed is as Bite.
func (f *FaultRow) Armed(ctx context.Context, call chaos.Call) (armed bool, err error) {
	err = f.with(ctx, call, func(conn *pgx.Conn, kept spoiled) error {
		value, err := f.value(ctx, conn, kept.Table)
		if row := errRow(0); errors.As(err, &row) {
			return nil // somebody removed it
		}
		armed = value != nil && *value == kept.After
		return err
	})
	return armed, err
}

// Undo puts back what stood there, where the bad value still does.
func (f *FaultRow) Undo(ctx context.Context, call chaos.Call) error {
	return f.with(ctx, call, func(conn *pgx.Conn, kept spoiled) error {
		_, err := f.swap(ctx, conn, kept, &kept.After, kept.Before)
		return err
	})
}

// Fingerprint names the column's value without telling it.
func (f *FaultRow) Fingerprint(ctx context.Context, call chaos.Call) (print string, err error) {
	err = f.with(ctx, call, func(conn *pgx.Conn, kept spoiled) error {
		value, err := f.value(ctx, conn, kept.Table)
		row := errRow(0)
		switch {
		case errors.As(err, &row):
			print = row.Error()
			return nil
		case value == nil:
			print = "null"
		default:
			print = jenner.Fingerprint(*value)
		}
		return err
	})
	return print, err
}
