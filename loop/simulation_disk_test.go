package loop_test

import (
	"context"
	"hash/crc32"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/memory"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// keeping is the store that outlives the programs of a simulation.
type keeping interface {
	loop.Store
	act.Journal
	PutVote(ctx context.Context, vote jenner.Vote) error
	// records are the open ones of a line and those that were opened since.
	records(ctx context.Context, line string, since time.Time) ([]jenner.Record, error)
	Close() error
}

type keepingInMemory struct{ *memory.Store }

func (k keepingInMemory) records(ctx context.Context, line string, since time.Time) ([]jenner.Record, error) {
	return openAndLately(func(open bool, since time.Time) ([]jenner.Record, error) {
		return k.List(ctx, line, memory.ListFilter{OpenOnly: open, Since: since})
	}, since)
}

type keepingOnDisk struct{ *sqlite.Store }

func (k keepingOnDisk) records(ctx context.Context, line string, since time.Time) ([]jenner.Record, error) {
	return openAndLately(func(open bool, since time.Time) ([]jenner.Record, error) {
		return k.List(ctx, line, sqlite.ListFilter{OpenOnly: open, Since: since})
	}, since)
}

func openAndLately(list func(open bool, since time.Time) ([]jenner.Record, error), since time.Time) ([]jenner.Record, error) {
	open, err := list(true, time.Time{})
	if err != nil {
		return nil, err
	}
	lately, err := list(false, since)
	for _, record := range lately {
		if record.Ended {
			open = append(open, record)
		}
	}
	return open, err
}

// simDisk is the store as one program sees it: real, until the program dies. It dies before or after any change.
type simDisk struct {
	loop.Store // what is only read
	kept       keeping
	program    *simProgram
	dead       bool
}

// use is one change, at which the program may die: before it, or after it and before the program knows.
func (d *simDisk) use(what string, do func() error, done func()) error {
	if d.dead {
		return errDead
	}
	s := d.program.simulation
	before, after := false, false
	if s.fatal > 0 {
		s.fatal--
		before, after = s.fatal == 0 && s.chance.IntN(2) == 0, s.fatal == 0
	}
	if before {
		s.note("dies before %s", what)
		d.dead = true
		return errDead
	}
	err := do()
	if err == nil {
		done()
	}
	if after {
		s.note("dies after %s: %v", what, err)
		d.dead = true
		return errDead
	}
	return err
}

// slow lets others come between what a step has read and what it commits, now and then.
func (d *simDisk) slow(ctx context.Context) {
	s := d.program.simulation
	if _, isTask := ctx.Value(taskKey{}).(*task); isTask && s.maybe(s.temper.slow) {
		_ = s.wait(ctx, s.between(0, 20*time.Millisecond)) // where ctx ends meanwhile, the commit says so
	}
}

func (d *simDisk) Load(ctx context.Context, line, id string) (jenner.Record, error) {
	if d.dead {
		return jenner.Record{}, errDead
	}
	return d.kept.Load(ctx, line, id)
}

func (d *simDisk) Intent(ctx context.Context, key string) (jenner.Intent, error) {
	if d.dead {
		return jenner.Intent{}, errDead
	}
	return d.kept.Intent(ctx, key)
}

var table = crc32.MakeTable(crc32.Castagnoli)

func (d *simDisk) Commit(ctx context.Context, change jenner.Change) error {
	record := change.Record
	d.slow(ctx)
	return d.use("commit "+record.ID, func() error { return d.kept.Commit(ctx, change) }, func() {
		d.program.note("commit %s %s %s v%d %08x", record.ID, record.Subject, record.Phase, record.Version, crc32.Checksum(record.State, table))
		for _, intent := range change.Results {
			d.program.note("  result %s %s %s%s", intent.Key, intent.State, intent.Summary, intent.Error)
			d.program.law.finished(intent)
		}
		for _, entry := range change.Timeline {
			d.program.note("  %s %s", entry.Kind, entry.Text)
		}
		for _, intent := range change.Intents {
			d.program.note("  intent %s %s %s/%s", intent.Key, intent.Action, intent.Service, intent.Target.Name)
			d.program.law.begun(intent)
		}
		d.program.law.committed(change)
	})
}

func (d *simDisk) Begin(ctx context.Context, intent jenner.Intent) (stored jenner.Intent, fresh bool, err error) {
	err = d.use("begin "+intent.Key, func() (err error) {
		stored, fresh, err = d.kept.Begin(ctx, intent)
		return err
	}, func() {
		d.program.note("intent %s %s %s/%s fresh %t", intent.Key, intent.Action, intent.Service, intent.Target.Name, fresh)
		d.program.law.begun(stored)
	})
	return stored, fresh, err
}

func (d *simDisk) Finish(ctx context.Context, intent jenner.Intent) error {
	return d.use("finish "+intent.Key, func() error { return d.kept.Finish(ctx, intent) }, func() {
		d.program.note("result %s %s %s%s", intent.Key, intent.State, intent.Summary, intent.Error)
		d.program.law.finished(intent)
	})
}
