package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// Injector is the one place through which faults come and go. It is safe for concurrent use on different faults.
type Injector struct {
	Journal *Journal
	Now     func() time.Time
	// Build finds a fault by name and decodes the parameters into it.
	Build func(name, kind string, params jenner.Params) (full string, fault Fault, err error)
	// Held tells whether somebody stopped Jenner: then no fault begins. Undo is never stopped.
	Held func() (jenner.Hold, bool)
	// Guard, where it is set, starts what undoes the faults when this process dies. It is called before each fault.
	Guard func() error
	// Holders start and end the processes that hold the faults which are Holders.
	Holders *Holders
}

// call is what a fault is told.
func (i *Injector) call(record jenner.FaultRecord) Call {
	call := Call{Record: record}
	if i.Holders != nil {
		call.Held = i.Holders.Held(record.ID)
	}
	return call
}

// Inject writes the undo journal, then breaks the target, and gives the record with the checkpoint. Where the fault
// itself fails, what it may have done is undone.
func (i *Injector) Inject(ctx context.Context, record jenner.FaultRecord, lease time.Duration) (jenner.FaultRecord, error) {
	if hold, yes := i.Held(); yes {
		return record, jenner.Permanent(fmt.Errorf("no fault is injected: %s stopped Jenner at %s", hold.By,
			hold.At.Format(time.TimeOnly)), "run `jenner resume` first")
	}
	full, fault, err := i.Build(record.Fault, record.Target.Kind, record.Params)
	if err != nil {
		return record, jenner.Permanent(err, "")
	}
	record.Fault, record.InjectedAt = full, i.Now()
	record.Until = record.InjectedAt.Add(lease)
	if err := before(ctx, fault, &record); err != nil {
		return record, err
	}
	if i.Guard != nil {
		if err := i.Guard(); err != nil {
			return record, fmt.Errorf("no fault is injected without somebody who would undo it: %w", err)
		}
	}
	if err := i.Journal.Put(record, true); err != nil {
		return record, err
	}
	if err := i.make(ctx, fault, record); err != nil {
		return record, errors.Join(fmt.Errorf("cannot inject %s: %w", full, err), i.Undo(context.WithoutCancel(ctx), record))
	}
	return record, nil
}

// make makes the fault, in a process of its own where it is to be held.
func (i *Injector) make(ctx context.Context, fault Fault, record jenner.FaultRecord) error {
	if _, held := fault.(Holder); held {
		if i.Holders == nil {
			return jenner.Permanent(errNobodyHolds, "")
		}
		if err := i.Holders.Start(ctx, record.ID); err != nil {
			return err
		}
	}
	return fault.Inject(ctx, i.call(record))
}

// before takes what must be known of the state before the fault.
func before(ctx context.Context, fault Fault, record *jenner.FaultRecord) error {
	if keeper, ok := fault.(Checkpointer); ok {
		checkpoint, err := keeper.Checkpoint(ctx, Call{Record: *record})
		if err != nil {
			return fmt.Errorf("%s cannot be injected into %s: %w", record.Fault, record.Target.Ref(), err)
		}
		record.Checkpoint = checkpoint
	}
	if printer, ok := fault.(Fingerprinter); ok {
		print, err := printer.Fingerprint(ctx, Call{Record: *record})
		if err != nil {
			return fmt.Errorf("cannot take the fingerprint of %s before the fault: %w", record.Target.Ref(), err)
		}
		record.Fingerprint = print
	}
	return nil
}

// Renew makes the fault last for another lease. It must be called only while the drill's abort conditions are freshly
// known to be good.
func (i *Injector) Renew(ctx context.Context, record jenner.FaultRecord, lease time.Duration) (jenner.FaultRecord, error) {
	_, fault, err := i.Build(record.Fault, record.Target.Kind, record.Params)
	if err != nil {
		return record, err
	}
	if _, held := fault.(Holder); held && !i.call(record).Held.Alive {
		return record, jenner.Permanent(fmt.Errorf("the process that held %s on %s is gone", record.Fault, record.Target.Ref()), "")
	}
	record.Until = i.Now().Add(lease)
	if err := i.Journal.Put(record, false); err != nil {
		return record, err
	}
	if renewer, ok := fault.(Renewer); ok {
		return record, renewer.Renew(ctx, i.call(record))
	}
	return record, nil
}

// Bite looks for the witness of the fault.
func (i *Injector) Bite(ctx context.Context, record jenner.FaultRecord) (Witness, error) {
	_, fault, err := i.Build(record.Fault, record.Target.Kind, record.Params)
	if err != nil {
		return Witness{}, err
	}
	return fault.Bite(ctx, i.call(record))
}

// BitesWithin is how long the fault may take to work; 0 where it does not say.
func (i *Injector) BitesWithin(record jenner.FaultRecord) time.Duration {
	_, fault, err := i.Build(record.Fault, record.Target.Kind, record.Params)
	if slow, is := fault.(Slow); err == nil && is {
		return slow.BitesWithin()
	}
	return 0
}

// Armed tells whether the fault still holds.
func (i *Injector) Armed(ctx context.Context, record jenner.FaultRecord) (bool, error) {
	_, fault, err := i.Build(record.Fault, record.Target.Kind, record.Params)
	if err != nil {
		return false, err
	}
	return fault.Armed(ctx, i.call(record))
}

// ErrResidue is what Undo answers when the state before did not come back.
var ErrResidue = errors.New("something of the fault was left behind")

// Undo takes the fault back and proves that it is gone; only then the journal forgets it. Undoing twice is as undoing
// once, also by another process.
func (i *Injector) Undo(ctx context.Context, record jenner.FaultRecord) error {
	_, fault, err := i.Build(record.Fault, record.Target.Kind, record.Params)
	if err != nil {
		return err
	}
	if i.Holders != nil {
		if err := i.Holders.End(ctx, record.ID); err != nil {
			return err
		}
	}
	if err := fault.Undo(ctx, i.call(record)); err != nil {
		return fmt.Errorf("cannot undo %s on %s: %w", record.Fault, record.Target.Ref(), err)
	}
	armed, err := fault.Armed(ctx, i.call(record))
	if err != nil {
		return fmt.Errorf("cannot tell whether %s on %s is gone: %w", record.Fault, record.Target.Ref(), err)
	}
	if armed {
		return fmt.Errorf("%w: %s on %s still holds", ErrResidue, record.Fault, record.Target.Ref())
	}
	if printer, ok := fault.(Fingerprinter); ok && record.Fingerprint != "" {
		print, err := printer.Fingerprint(ctx, i.call(record))
		if err != nil {
			return fmt.Errorf("cannot take the fingerprint of %s after the undo: %w", record.Target.Ref(), err)
		}
		if print != record.Fingerprint {
			return fmt.Errorf("%w: %s is %s and was %s before %s", ErrResidue, record.Target.Ref(), print,
				record.Fingerprint, record.Fault)
		}
	}
	return i.Journal.Remove(record.ID)
}

// UndoAll undoes every fault that the journal still holds, and of which due says yes. It goes on after an error.
func (i *Injector) UndoAll(ctx context.Context, due func(jenner.FaultRecord) bool) (undone int, err error) {
	records, err := i.Journal.Open()
	for _, record := range records {
		if !due(record) {
			continue
		}
		if one := i.Undo(ctx, record); one != nil {
			err = errors.Join(err, one)
			continue
		}
		undone++
	}
	return undone, err
}
