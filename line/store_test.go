package line

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// memory is a Store in memory, with the promises of a real one.
type memory struct {
	mu       sync.Mutex
	records  map[string]jenner.Record
	timeline []jenner.Entry
	audit    []jenner.AuditEntry
	refuse   error // what Commit answers, where it is set
	taken    bool  // refuses what has caps
	commits  int
	loads    int
	dues     int // how often it was asked what is due
}

func newMemory() *memory { return &memory{records: map[string]jenner.Record{}} }

func (m *memory) Load(ctx context.Context, line, id string) (jenner.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	if ctx.Err() != nil {
		return jenner.Record{}, context.Cause(ctx)
	}
	record, known := m.records[line+"/"+id]
	if !known {
		return record, jenner.ErrNotFound
	}
	return record, nil
}

func (m *memory) Commit(ctx context.Context, change jenner.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := change.Record.Line + "/" + change.Record.ID
	stored := m.records[key]
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case m.refuse != nil:
		return m.refuse
	case m.taken && len(change.Caps) > 0:
		return jenner.ErrTaken
	case stored.Version != change.Record.Version || stored.Ended:
		return jenner.ErrConflict
	}
	m.commits++
	change.Record.Version++
	m.records[key] = change.Record
	m.timeline = append(m.timeline, change.Timeline...)
	m.audit = append(m.audit, change.Audit...)
	return nil
}

func (m *memory) Due(ctx context.Context, line string, now time.Time, limit int) ([]string, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dues++
	if ctx.Err() != nil {
		return nil, time.Time{}, context.Cause(ctx)
	}
	open := slices.DeleteFunc(slices.Collect(maps.Values(m.records)), func(r jenner.Record) bool { return r.Line != line || r.Ended })
	slices.SortFunc(open, func(a, b jenner.Record) int { return a.Due.Compare(b.Due) })
	var ids []string
	for _, record := range open {
		if record.Due.After(now) || len(ids) == limit {
			return ids, record.Due, nil
		}
		ids = append(ids, record.ID)
	}
	return ids, time.Time{}, nil
}

func (m *memory) record(t *testing.T, id string) jenner.Record {
	t.Helper()
	record, err := m.Load(context.WithoutCancel(t.Context()), "test", id)
	if err != nil {
		t.Fatalf("record %s: %v", id, err)
	}
	return record
}

func (m *memory) texts(kind string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var texts []string
	for _, entry := range m.timeline {
		if entry.Kind == kind {
			texts = append(texts, entry.Text)
		}
	}
	return texts
}

// count is the state of the test's records.
type count struct {
	Calls int `json:"calls"`
}

const (
	first  jenner.Phase = "first"
	second jenner.Phase = "second"
	over   jenner.Phase = "over"
)

type stage = func(ctx context.Context, step *Step[count]) (Next, error)

// aLine is a line of two phases and a final one. What fails for good ends it.
func aLine(store Store, one, two stage) *Line[count] {
	return &Line[count]{Name: "test", Store: store, Now: time.Now,
		Phases: []Phase[count]{{Name: first, Stage: one}, {Name: second, Stage: two}, {Name: over}},
		Failed: func(_ context.Context, step *Step[count], err error) Next {
			step.Note("failed", err.Error(), nil)
			return End(over)
		}}
}

func always(next Next, err error) stage {
	return func(_ context.Context, step *Step[count]) (Next, error) {
		step.State.Calls++
		return next, err
	}
}

func create(t *testing.T, l *Line[count], ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := l.Create(t.Context(), id, "shop", count{}); err != nil {
			t.Fatal(err)
		}
	}
}

func reconcile(t *testing.T, l *Line[count], id string) time.Time {
	t.Helper()
	due, err := l.Reconcile(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return due
}

var errBad = errors.New("bad")
