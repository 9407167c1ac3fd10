package loop_test

import (
	"encoding/json"
	"testing"

	"github.com/jenner-heal/jenner"
)

func decode[T any](t *testing.T, record jenner.Record) T {
	t.Helper()
	var state T
	if err := json.Unmarshal(record.State, &state); err != nil {
		t.Fatalf("%s %s: %v", record.Line, record.ID, err)
	}
	return state
}
