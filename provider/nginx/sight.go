package nginx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// lookEvery is how often the processes are looked at while something is waited for.
const lookEvery = 10 * time.Millisecond

// What nginx calls its processes; see ngx_setproctitle in its source.
const (
	masterTitle  = "nginx: master process"
	workerTitle  = "nginx: worker process"
	leavingTitle = "nginx: worker process is shutting down"
)

// process names one process as long as the machine is up.
type process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // ticks since boot, field 22 of /proc/PID/stat
}

// sight is what was seen of an nginx at one moment.
type sight struct {
	Alive   bool      `json:"alive"`
	Why     string    `json:"why,omitempty"` // why it is not alive
	Boot    string    `json:"boot"`          // the kernel's boot id
	Master  process   `json:"master"`
	Workers []process `json:"workers,omitempty"` // those that take connections, by pid
}

// String is what the fingerprints are made of.
func (s sight) String() string {
	if !s.Alive {
		return "gone"
	}
	text := fmt.Sprintf("master pid %d since tick %d of boot %s, workers", s.Master.Pid, s.Master.Start, s.Boot)
	for _, worker := range s.Workers {
		text += fmt.Sprintf(" %d/%d", worker.Pid, worker.Start)
	}
	return text
}

// sameMaster tells whether both saw one process.
func (s sight) sameMaster(other sight) bool { return s.Boot == other.Boot && s.Master == other.Master }

// renewed tells whether all workers are others than those of before, and there are some.
func (s sight) renewed(before sight) bool {
	kept := slices.ContainsFunc(s.Workers, func(worker process) bool { return slices.Contains(before.Workers, worker) })
	return len(s.Workers) > 0 && !kept
}

// look sees whether the master lives that the pidfile names, and its workers. An error means that it cannot be told, or
// that the pidfile names somebody else's process.
func (t *Target) look() (sight, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return sight{}, err
	}
	seen := sight{Boot: strings.TrimSpace(string(boot))}
	raw, err := os.ReadFile(t.Pidfile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(raw)) == "" {
		seen.Why = "there is no pid in " + t.Pidfile
		return seen, nil
	}
	if err != nil {
		return seen, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid < 2 {
		return seen, fmt.Errorf("%s holds %q, which is no pid", t.Pidfile, raw)
	}
	seen.Master.Pid = pid
	start, title, living, err := examine(pid)
	switch {
	case err != nil:
		return seen, err
	case !living:
		seen.Why = fmt.Sprintf("pid %d is gone", pid)
		return seen, nil
	case !strings.HasPrefix(title, masterTitle):
		return seen, fmt.Errorf("%s names somebody else's process: pid %d is %q", t.Pidfile, pid, title)
	}
	seen.Alive, seen.Master.Start = true, start
	seen.Workers, err = workersOf(pid)
	return seen, err
}

// examine looks at one process. A zombie does not live.
func examine(pid int) (start uint64, title string, living bool, err error) {
	proc, err := procfs.NewProc(pid)
	if err == nil {
		var stat procfs.ProcStat
		if stat, err = proc.Stat(); err == nil && stat.State != "Z" {
			args, argsErr := proc.CmdLine()
			start, title, living, err = stat.Starttime, strings.Join(args, " "), true, argsErr
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, "", false, nil
	}
	return start, title, living, err
}

// workersOf are the master's children that take connections.
func workersOf(master int) ([]process, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	var workers []process
	for _, proc := range all {
		stat, err := proc.Stat()
		if err != nil || stat.PPID != master || stat.State == "Z" {
			continue // who ends this very moment is no worker any more
		}
		args, err := proc.CmdLine()
		if title := strings.Join(args, " "); err == nil && strings.HasPrefix(title, workerTitle) && !strings.HasPrefix(title, leavingTitle) {
			workers = append(workers, process{stat.PID, stat.Starttime})
		}
	}
	slices.SortFunc(workers, func(a, b process) int { return a.Pid - b.Pid })
	return workers, nil
}

// see decodes a target and looks at it.
func see(target jenner.Target) (*Target, sight, error) {
	t, err := decode(target)
	if err != nil {
		return nil, sight{}, err
	}
	seen, err := t.look()
	if err != nil {
		return t, seen, jenner.ForHuman(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	return t, seen, nil
}

// before reads a checkpoint.
func before(checkpoint json.RawMessage) (sight, error) {
	var seen sight
	if len(checkpoint) == 0 {
		return seen, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(checkpoint, &seen); err != nil || seen.Boot == "" {
		return seen, errors.Join(fmt.Errorf("the checkpoint %s does not say what was before", checkpoint), err)
	}
	return seen, nil
}

// held is a master held by a pidfd: what is sent to it reaches that process or nobody.
type held struct{ fd int }

// hold opens the master of a sight; errGone where it does not live any more.
func hold(seen sight) (held, error) {
	fd, err := unix.PidfdOpen(seen.Master.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return held{}, errGone
	}
	if err != nil {
		return held{}, fmt.Errorf("pid %d cannot be held: %w", seen.Master.Pid, err)
	}
	// Only now is the number bound; what has it must still be the process that was meant.
	if start, _, living, err := examine(seen.Master.Pid); err != nil || !living || start != seen.Master.Start {
		unix.Close(fd)
		return held{}, errors.Join(errGone, err)
	}
	return held{fd}, nil
}

func (h held) close() { unix.Close(h.fd) }

func (h held) signal(signal unix.Signal) error {
	err := unix.PidfdSendSignal(h.fd, signal, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return errGone
	}
	return err
}

// wait blocks until the process has ended, or ctx has.
func (h held) wait(ctx context.Context) error {
	for {
		ready := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, int(lookEvery.Milliseconds()))
		if err == nil && n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// errGone says that the master does not live any more.
var errGone = errors.New("the master process is gone")
