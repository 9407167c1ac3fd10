package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

var (
	errNobodyHolds = errors.New("no process holds the fault")
	// ErrHoldEnded is the cause of the end of Hold's context when the fault's time is over.
	ErrHoldEnded = errors.New("the fault's time is over")
)

// Holders starts and ends the processes that hold faults. Any process that knows the journal may end what another one
// has started. It is safe for concurrent use.
type Holders struct {
	Command []string // this program as a holder; the fault's ID is added as the last argument
	Journal *Journal

	mu    sync.Mutex
	pipes map[string]io.Closer // whose end tells the holder that this process is dead
}

// heldFile is what a holder writes down about itself beside its record in the journal.
type heldFile struct {
	Pid    int             `json:"pid"`
	Start  uint64          `json:"start"` // of the process, in clock ticks since the boot: a used-again pid has another one
	Report json.RawMessage `json:"report,omitempty"`
}

// startPatience is how long a fault may take until it holds, endPatience until it has taken back what it made. After
// that its process is killed.
const (
	startPatience = 30 * time.Second
	endPatience   = 5 * time.Second
)

// Start starts the holder of a fault whose record is in the journal, and returns when the fault holds.
func (h *Holders) Start(ctx context.Context, id string) error {
	if len(h.Command) == 0 {
		return jenner.Permanent(errors.New("no fault that a process holds can be injected: the program to start is not known"), "")
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirs.Close()
	var said bytes.Buffer
	cmd := exec.Command(h.Command[0], append(h.Command[1:len(h.Command):len(h.Command)], id)...)
	cmd.Stdin, cmd.Stderr = theirs, &said
	cmd.WaitDelay = time.Second                          // a child of its own may keep the pipes open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no Ctrl-C reaches it
	out, err := cmd.StdoutPipe()
	if err != nil {
		return errors.Join(err, ours.Close())
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("cannot start the process that holds the fault: %w", err), ours.Close())
	}
	ended := make(chan struct{})
	holds := make(chan bool, 1)
	go func() {
		line := make([]byte, len(holdsWord))
		_, err := io.ReadFull(out, line)
		holds <- err == nil && string(line) == holdsWord
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		close(ended)
	}()
	h.keep(id, ours)
	return h.await(ctx, cmd, holds, ended, &said)
}

// holdsWord is what a holder prints when its fault holds.
const holdsWord = "holds\n"

func (h *Holders) await(ctx context.Context, cmd *exec.Cmd, holds <-chan bool, ended <-chan struct{}, said *bytes.Buffer) error {
	patience := time.NewTimer(startPatience)
	defer patience.Stop()
	var late error
	select {
	case yes := <-holds:
		if yes {
			return nil
		}
	case <-ctx.Done():
		late = context.Cause(ctx)
	case <-patience.C:
		late = fmt.Errorf("the fault did not hold within %s", startPatience)
	}
	if late != nil {
		_ = cmd.Process.Kill()
	}
	<-ended
	if text := strings.TrimSpace(said.String()); text != "" && late == nil {
		return jenner.Permanent(errors.New(text), "")
	}
	if late == nil {
		late = errors.New("the process that was to hold the fault ended without a word")
	}
	return late
}

// keep holds the pipe of a holder until End.
func (h *Holders) keep(id string, pipe io.Closer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pipes == nil {
		h.pipes = map[string]io.Closer{}
	}
	if old := h.pipes[id]; old != nil {
		old.Close()
	}
	h.pipes[id] = pipe
}

func (h *Holders) letGo(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pipe := h.pipes[id]; pipe != nil {
		pipe.Close()
		delete(h.pipes, id)
	}
}

// Held tells what is known of the process that holds a fault: nothing where there never was one.
func (h *Holders) Held(id string) Held {
	file, err := h.read(id)
	if err != nil {
		return Held{}
	}
	return Held{Alive: runs(file), Pid: file.Pid, Report: file.Report}
}

func (h *Holders) read(id string) (file heldFile, err error) {
	raw, err := os.ReadFile(h.Journal.heldPath(id))
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	return file, err
}

// End ends the process that holds a fault and waits until it is gone: first it may take back what it made, and where it
// does not, it is killed. Ending what has ended is nothing.
func (h *Holders) End(ctx context.Context, id string) error {
	h.letGo(id)
	file, err := h.read(id)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot tell which process holds fault %s: %w", id, err)
	}
	pidfd, err := unix.PidfdOpen(file.Pid, 0)
	if errors.Is(err, unix.ESRCH) || (err == nil && !runs(file)) {
		if err == nil {
			unix.Close(pidfd)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot reach the process that holds fault %s: %w", id, err)
	}
	defer unix.Close(pidfd)
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(pidfd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot end the process that holds fault %s: %w", id, err)
		}
		if gone, err := waitGone(ctx, file, endPatience); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("pid %d, which holds fault %s, does not end", file.Pid, id)
}

func waitGone(ctx context.Context, file heldFile, patience time.Duration) (bool, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for runs(file) {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-deadline.C:
			return false, nil
		case <-ticker.C:
		}
	}
	return true, nil
}

// runs tells whether exactly that process lives; a zombie does not.
func runs(file heldFile) bool {
	start, state, err := identity(file.Pid)
	return err == nil && start == file.Start && state != "Z" && state != "X"
}

func identity(pid int) (start uint64, state string, err error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, "", err
	}
	stat, err := process.Stat()
	if stat.State == "Z" && stat.NumThreads > 1 {
		stat.State = "R" // only its first thread has ended; memory and files go with the last
	}
	return stat.Starttime, stat.State, err
}

func (j *Journal) heldPath(id string) string { return filepath.Join(j.dir, id+".held") }
