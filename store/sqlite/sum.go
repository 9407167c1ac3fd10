package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/jenner-heal/jenner"
	sqlite "modernc.org/sqlite"
)

// errDamaged is the cause when something stored is not what was written.
var errDamaged = errors.New("what is stored is not what was written")

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // processors have an instruction for it

func init() {
	// For the migration that adds the sums; everything else computes them here.
	sqlite.MustRegisterDeterministicScalarFunction("jenner_sum", -1,
		func(_ *sqlite.FunctionContext, columns []driver.Value) (driver.Value, error) {
			parts := make([]any, len(columns))
			for i, column := range columns {
				parts[i] = column
			}
			return sumOf(parts...)
		})
	// For the migration that makes one row of what a commit adds to a timeline.
	sqlite.MustRegisterDeterministicScalarFunction("jenner_entries", 6,
		func(_ *sqlite.FunctionContext, columns []driver.Value) (driver.Value, error) {
			return entryOfRow(columns)
		})
}

// entryOfRow makes the list of one entry from the row that it was before: at, phase, kind, text, data and their sum.
func entryOfRow(columns []driver.Value) ([]byte, error) {
	at, _ := columns[0].(int64)
	phase, _ := columns[1].(string)
	kind, _ := columns[2].(string)
	told, _ := columns[3].(string)
	data, _ := columns[4].([]byte)
	if sum, err := sumOf(at, phase, kind, told, data); err != nil || sum != columns[5] {
		return nil, errors.Join(fmt.Errorf("%w: an entry of a timeline", errDamaged), err)
	}
	var when stamp
	if err := when.Scan(at); err != nil {
		return nil, err
	}
	return text([]jenner.Entry{{At: time.Time(when), Phase: jenner.Phase(phase), Kind: kind, Text: told, Data: data}})
}

// sumOf is the CRC-32C over columns, each with its length, so that nothing can move from one into the next.
func sumOf(parts ...any) (int64, error) {
	sum := uint32(0)
	var number [8]byte
	add := func(n uint64, text []byte) {
		binary.LittleEndian.PutUint64(number[:], n)
		sum = crc32.Update(sum, castagnoli, number[:])
		sum = crc32.Update(sum, castagnoli, text)
	}
	for _, part := range parts {
		switch value := part.(type) {
		case nil:
			add(0, nil)
		case []byte:
			add(uint64(len(value)), value)
		case string:
			add(uint64(len(value)), []byte(value))
		case int64:
			add(uint64(value), nil)
		default:
			return 0, fmt.Errorf("a column of type %T has no sum", part)
		}
	}
	return int64(sum), nil
}

// bodySum is the sum of a row whose content is one column.
func bodySum(body []byte) int64 {
	sum, _ := sumOf(body) // bytes have a sum
	return sum
}

// recordSum is the sum of a record as it is stored. The columns that it leaves out are in indexes of all records.
func recordSum(r jenner.Record) (int64, error) {
	ended := int64(0)
	if r.Ended {
		ended = 1
	}
	return sumOf(r.Subject, string(r.Phase), r.Version, nanoseconds(r.Due), r.Wait, ended, nanoseconds(r.Updated), []byte(r.State))
}

// nanoseconds is a time as it is stored.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
