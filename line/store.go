// Package line is the durable line: named phases with one stage each, one step a call.
//
// Reconcile loads a record, runs the one stage of its phase, and those after it that only look, and commits the new
// state, the timeline, the audit entries and the time of the next step in one transaction, guarded by the version that
// was read. Nothing durable is kept in
// memory, so that after kill -9 at any instant the next start goes on. It is not for what the stages do: package loop
// fills the phases.
package line

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner"
)

// Store keeps records. It is safe for concurrent use, also by several processes.
type Store interface {
	// Load gives a record, or jenner.ErrNotFound.
	Load(ctx context.Context, line, id string) (jenner.Record, error)
	// Commit stores a change, all of it or nothing; jenner.ErrConflict where the record's version is not the stored one.
	// When it returns without an error the change is synced to disk.
	Commit(ctx context.Context, change jenner.Change) error
	// Due gives the ids of records whose time has come, the longest due first, and the time of the next one after
	// those (zero where there is none).
	Due(ctx context.Context, line string, now time.Time, limit int) (ids []string, next time.Time, err error)
}
