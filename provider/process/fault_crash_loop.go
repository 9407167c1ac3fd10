package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("crash_loop", "Kill the process again and again, soon after each start", func() chaos.Fault {
		return &FaultCrashLoop{After: jenner.Duration(500 * time.Millisecond)}
	}, "process")
}

// FaultCrashLoop kills each process of the target with SIGKILL a while after it was seen, the one that runs at the
// injection too, until its time is over or it has killed as many as asked. It starts none itself: whoever restarts the
// target gives it the next one. Its undo starts the process where none lives, as that of kill does.
type FaultCrashLoop struct {
	chaos.HeldElsewhere
	victim
	After jenner.Duration `json:"after,omitempty"` // how long each process lives, from when it is seen; 500ms where not said
	Times int             `json:"times,omitempty"` // how many are killed; as many as come where not said
}

// crashes is what a crash loop reports.
type crashes struct {
	Kills int      `json:"kills"`
	Last  identity `json:"last"` // the process that was killed last
}

// crashLook is how often a crash loop looks whether a process of the target lives.
const crashLook = 20 * time.Millisecond

// Validate checks the parameters.
func (f *FaultCrashLoop) Validate() error {
	if f.Times < 0 {
		return fmt.Errorf("times %d is less than nothing", f.Times)
	}
	return nil
}

// Hold kills what comes to life.
func (f *FaultCrashLoop) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	t, err := decode(call.Record.Target)
	if err != nil {
		return err
	}
	var done crashes
	tell(done)
	for f.Times == 0 || done.Kills < f.Times {
		next, err := t.nextAlive(ctx)
		if err != nil {
			return err
		}
		killed, err := killAfter(ctx, next, f.After.Std())
		if err != nil {
			return err
		}
		if killed {
			done = crashes{done.Kills + 1, next}
			tell(done)
		}
	}
	<-ctx.Done()
	return nil
}

// nextAlive waits until a process of the target lives. That the pidfile names somebody else's is no reason to end: it is
// often so for a moment while a process starts.
func (t *Target) nextAlive(ctx context.Context) (identity, error) {
	for {
		if seen, err := t.look(); err == nil && seen.Alive {
			return seen.identity, nil
		}
		if !pause(ctx, crashLook) {
			return identity{}, context.Canceled
		}
	}
}

// killAfter kills exactly that process after a while, and returns when it is gone. It tells whether it was this fault
// that ended it.
func killAfter(ctx context.Context, id identity, after time.Duration) (bool, error) {
	process, err := hold(id)
	if errors.Is(err, errGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer process.close()
	lives, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	if process.wait(lives) == nil {
		return false, nil // it ended by itself
	}
	if ctx.Err() != nil {
		return false, context.Canceled
	}
	if err := process.signal(unix.SIGKILL); errors.Is(err, errGone) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, process.wait(ctx)
}

// Bite counts the processes that were killed.
func (*FaultCrashLoop) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	done, err := reported[crashes](call)
	if err != nil || done.Kills == 0 {
		return chaos.Witness{Saw: "no process was killed yet"}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%d processes were killed, pid %d last", done.Kills, done.Last.Pid)}, nil
}

// Armed tells whether the loop goes on. Where it has killed as many as asked, it is over when a process lives.
func (f *FaultCrashLoop) Armed(_ context.Context, call chaos.Call) (bool, error) {
	done, err := reported[crashes](call)
	if err != nil || !call.Held.Alive || f.Times == 0 || done.Kills < f.Times {
		return call.Held.Alive, err
	}
	_, is, err := see(call.Record.Target)
	return err == nil && !is.Alive, err
}

// Undo starts the process where none lives, so that nothing stays broken.
func (*FaultCrashLoop) Undo(ctx context.Context, call chaos.Call) error {
	_, err := ensureRunning(ctx, call.Record.Target)
	return err
}

// reported reads what the process that holds a fault has told last; the zero value where it told nothing.
func reported[T any](call chaos.Call) (report T, err error) {
	if len(call.Held.Report) == 0 {
		return report, nil
	}
	if err := json.Unmarshal(call.Held.Report, &report); err != nil {
		return report, fmt.Errorf("the report of the process that holds the fault cannot be read: %w", err)
	}
	return report, nil
}
