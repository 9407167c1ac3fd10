package chaos

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner"
)

// ReapOverdue is how long after the end of its lease a fault is undone by the reaper although the injector lives: it
// lives, but it does not renew.
const ReapOverdue = time.Second

// Reap is the reaper: it watches the undo journal until parent ends, which the death of the injector does, however it
// died. Faults whose lease is over are undone at once, all others when parent has ended. It returns when nothing is
// left to undo, or when what is left could not be undone within patience.
func Reap(ctx context.Context, injector *Injector, parent io.Reader, patience time.Duration, logger *slog.Logger) error {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, parent) // any end of the pipe means the same
	}()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-gone:
			return reapAll(ctx, injector, patience, logger)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
			overdue := injector.Now().Add(-ReapOverdue)
			_, err := injector.UndoAll(ctx, func(r jenner.FaultRecord) bool { return r.Until.Before(overdue) })
			if err != nil {
				logger.Error("an overdue fault could not be undone yet", "error", err)
			}
		}
	}
}

// reapAll undoes everything, again and again until nothing is left.
func reapAll(ctx context.Context, injector *Injector, patience time.Duration, logger *slog.Logger) error {
	deadline := injector.Now().Add(patience)
	for {
		undone, err := injector.UndoAll(ctx, func(jenner.FaultRecord) bool { return true })
		if undone > 0 {
			logger.Info("undid faults that were left", "faults", undone)
		}
		if err == nil {
			return nil
		}
		logger.Error("a fault could not be undone yet", "error", err)
		if injector.Now().After(deadline) {
			return fmt.Errorf("gave up after %s: %w", patience, err)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Reaper starts the reaper process, once, and keeps the pipe whose end tells it that this process is dead.
type Reaper struct {
	Command []string // this program, as a reaper
	Log     string   // file for what the reaper has to say

	mu    sync.Mutex
	pipe  *os.File
	ended chan struct{} // closed when the process has ended; nil before the first start
	err   error         // how it ended
	pid   int
}

// Start starts the reaper in a session of its own, so that no Ctrl-C and no closed terminal reaches it. It does
// nothing where it runs already; one that somebody ended is started anew.
func (r *Reaper) Start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs() {
		return nil
	}
	if r.pipe != nil {
		r.pipe.Close()
	}
	log, err := os.OpenFile(r.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the reaper's log: %w", err)
	}
	defer log.Close()
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirs.Close()
	cmd := exec.Command(r.Command[0], r.Command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return fmt.Errorf("cannot start the reaper: %w", err)
	}
	r.pipe, r.ended, r.err, r.pid = ours, make(chan struct{}), nil, cmd.Process.Pid
	go func(ended chan struct{}) {
		err := cmd.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = err
		close(ended)
	}(r.ended)
	return nil
}

// Pid is the process id of the reaper, 0 where none runs.
func (r *Reaper) Pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.runs() {
		return 0
	}
	return r.pid
}

func (r *Reaper) runs() bool {
	if r.ended == nil {
		return false
	}
	select {
	case <-r.ended:
		return false
	default:
		return true
	}
}

// Stop lets the reaper finish what is left, and waits for it.
func (r *Reaper) Stop() error {
	r.mu.Lock()
	ended := r.ended
	if ended != nil {
		r.pipe.Close()
	}
	r.mu.Unlock()
	if ended == nil {
		return nil
	}
	<-ended
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = nil
	if r.err != nil {
		return fmt.Errorf("the reaper could not undo everything; see %s: %w", r.Log, r.err)
	}
	return nil
}
