package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// Hold is the whole life of a process that holds the fault of a record in the journal. It prints a line to out when the
// fault holds. It ends the fault and returns when ctx ends, when parent ends, which the death of the injector does
// however it died, when the lease is over, and when the journal has forgotten the fault.
func Hold(ctx context.Context, injector *Injector, id string, parent io.Reader, out io.Writer) error {
	record, err := injector.Journal.Get(id)
	if err != nil {
		return err
	}
	_, fault, err := injector.Build(record.Fault, record.Target.Kind, record.Params)
	if err != nil {
		return err
	}
	holder, ok := fault.(Holder)
	if !ok {
		return fmt.Errorf("%s is no fault that a process holds", record.Fault)
	}
	teller, err := newTeller(injector.Journal, id, out)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		_, _ = io.Copy(io.Discard, parent) // any end of the pipe means the same
		end(ErrHoldEnded)
	}()
	go whileLeased(ctx, injector, id, end)
	done := teller.run()
	err = holder.Hold(ctx, Call{Record: record}, teller.tell)
	done()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// leaseLook is how often a holder looks whether its lease was renewed or taken.
const leaseLook = 50 * time.Millisecond

func whileLeased(ctx context.Context, injector *Injector, id string, end context.CancelCauseFunc) {
	ticker := time.NewTicker(leaseLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		record, err := injector.Journal.Get(id)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !injector.Now().Before(record.Until) {
			end(ErrHoldEnded)
			return
		}
	}
}

// teller writes down what a holder tells, at most every tellEvery after the first time.
type teller struct {
	journal *Journal
	id      string
	out     io.Writer

	mu      sync.Mutex
	file    heldFile
	holds   bool
	changed bool
	failed  error
}

const tellEvery = 20 * time.Millisecond

// newTeller writes down at once which process it is, so that it can be ended while it makes the fault.
func newTeller(journal *Journal, id string, out io.Writer) (*teller, error) {
	start, _, err := identity(os.Getpid())
	if err != nil {
		return nil, err
	}
	t := &teller{journal: journal, id: id, out: out, file: heldFile{Pid: os.Getpid(), Start: start}}
	return t, t.write()
}

func (t *teller) tell(report any) {
	raw, err := json.Marshal(report)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed = err
		return
	}
	t.file.Report, t.changed = raw, true
	if !t.holds {
		t.holds = true
		if t.failed = t.write(); t.failed == nil {
			_, t.failed = io.WriteString(t.out, holdsWord)
		}
	}
}

// run writes what changed until the returned function is called, which writes the last of it.
func (t *teller) run() func() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(tellEvery)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				t.flush()
				return
			case <-ticker.C:
				t.flush()
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

func (t *teller) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed && t.holds {
		t.failed = t.write()
	}
}

func (t *teller) write() error {
	t.changed = false
	return t.journal.replace(t.journal.heldPath(t.id), jenner.Raw(t.file), false)
}
