package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// ticksPerSecond is USER_HZ, the unit of start times in /proc; it is 100 on every architecture that Go runs Linux on.
const ticksPerSecond = 100

// maxPid is the highest number that the kernel gives, PID_MAX_LIMIT in linux/threads.h. It cuts larger ones off to 32
// bits, so that they would mean another process.
const maxPid = 1 << 22

// pfKthread is the flag of kernel threads, PF_KTHREAD in linux/sched.h. They have no program and no arguments either.
const pfKthread = 0x00200000

// mtimeSlack is how much younger than its pidfile a process may look: clocks of files are coarse, and the wall clock
// may have been slewed between the two.
const mtimeSlack = 2 * time.Second

// identity names one process for ever: no two have the same.
type identity struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // ticks since boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`  // the kernel's boot id
}

// possible tells whether a process can have this identity. Number 1 is never a target's, and signals to it or below hit
// many.
func (id identity) possible() bool { return id.Pid > 1 && id.Pid <= maxPid && id.Boot != "" }

// sight is what was seen of a target at one moment.
type sight struct {
	identity
	Alive   bool   `json:"alive"`
	Stopped bool   `json:"stopped,omitempty"` // by SIGSTOP or a debugger: it can handle no signal but SIGKILL and SIGCONT
	Why     string `json:"why,omitempty"`     // why it is not alive
	At      uint64 `json:"at"`                // ticks since boot when it was looked at …
	AtBoot  string `json:"at_boot"`           // … and in which boot
}

// String is what the fingerprints of actions are made of.
func (s sight) String() string {
	switch {
	case !s.Alive:
		return "gone"
	case s.Stopped:
		return fmt.Sprintf("stopped pid %d since tick %d of boot %s", s.Pid, s.Start, s.Boot)
	}
	return fmt.Sprintf("running pid %d since tick %d of boot %s", s.Pid, s.Start, s.Boot)
}

// foreignError is a pidfile that names a process that is not the target's. Nothing ever signals that process.
type foreignError struct {
	pidfile string
	pid     int
	whose   string
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("pidfile %s names somebody else's process: pid %d is %s", e.pidfile, e.pid, e.whose)
}

// look sees whether the target's process lives. An error means that it cannot be told: the pidfile cannot be read, or
// names somebody else's process (a *foreignError).
func (t *Target) look() (sight, error) {
	now, err := bootTicks()
	if err != nil {
		return sight{}, err
	}
	boot, err := bootID()
	if err != nil {
		return sight{}, err
	}
	seen := sight{At: now, AtBoot: boot}
	pid, written, why, err := readPidfile(t.Pidfile)
	if err != nil {
		return sight{}, err
	}
	if why != "" {
		seen.Why = why
		return seen, nil
	}
	stat, living, err := readStat(pid)
	if err != nil {
		return sight{}, err
	}
	seen.Why = fmt.Sprintf("pid %d is gone", pid)
	if !living {
		return seen, nil
	}
	age := time.Duration(now-min(now, stat.Starttime)) * time.Second / ticksPerSecond
	if born := time.Now().Add(-age); born.After(written.Add(mtimeSlack)) {
		seen.Why = fmt.Sprintf("pid %d is gone; another process, younger than the pidfile, has the number now", pid)
		return seen, nil
	}
	id := identity{pid, stat.Starttime, boot}
	whose := ""
	if id != t.own {
		whose, err = t.foreign(pid, stat)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return seen, nil // it went while it was looked at
	}
	if err != nil {
		return sight{}, err
	}
	if whose != "" {
		return sight{}, &foreignError{t.Pidfile, pid, whose}
	}
	seen.identity, t.own = id, id
	seen.Alive, seen.Why, seen.Stopped = true, "", stopped(stat)
	return seen, nil
}

// readPidfile gives the process id and when it was written; why is set where there is no pidfile.
func readPidfile(path string) (pid int, written time.Time, why string, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, time.Time{}, "pidfile " + path + " is missing", nil
	}
	if err != nil {
		return 0, time.Time{}, "", fmt.Errorf("the pidfile cannot be read: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, time.Time{}, "", fmt.Errorf("the pidfile cannot be read: %w", err)
	}
	content := make([]byte, 64)
	n, _ := io.ReadFull(file, content) // an error leaves n at 0, which is no number, or the file is shorter
	text := strings.TrimSpace(string(content[:n]))
	pid, err = strconv.Atoi(text)
	if err != nil || pid <= 1 || pid > maxPid || n == len(content) {
		return 0, time.Time{}, "", fmt.Errorf("pidfile %s holds %q, which is no process id; remove it if the process does not run", path, text)
	}
	return pid, info.ModTime(), "", nil
}

// identityOf is the identity of a process that lives now.
func identityOf(pid int) (identity, error) {
	boot, err := bootID()
	if err != nil {
		return identity{}, err
	}
	stat, _, err := readStat(pid)
	return identity{pid, stat.Starttime, boot}, err
}

// readStat reads /proc/PID/stat. A zombie does not live: it only waits for its parent.
func readStat(pid int) (stat procfs.ProcStat, living bool, err error) {
	proc, err := procfs.NewProc(pid)
	if err == nil {
		stat, err = proc.Stat()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH):
		// With hidepid, /proc does not show other people's processes; the kernel still tells that there is one.
		if errors.Is(unix.Kill(pid, 0), unix.EPERM) {
			return stat, false, fmt.Errorf("pid %d exists but /proc hides it; run as the same user or as root", pid)
		}
		return stat, false, nil
	case err != nil:
		return stat, false, fmt.Errorf("pid %d cannot be looked at: %w", pid, err)
	}
	return stat, stat.State != "Z" && stat.State != "X", nil
}

func stopped(stat procfs.ProcStat) bool { return stat.State == "T" || stat.State == "t" }

// foreign says whose the process is, or nothing where it is the target's own.
func (t *Target) foreign(pid int, stat procfs.ProcStat) (whose string, err error) {
	if pid == os.Getpid() {
		return "this jenner itself", nil
	}
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return "", err
	}
	status, err := proc.NewStatus()
	if err != nil {
		return "", err
	}
	if status.TGID != pid {
		return fmt.Sprintf("a thread of process %d", status.TGID), nil
	}
	self := uint64(os.Geteuid())
	if self != 0 && !slices.Contains(status.UIDs[:2], self) {
		return fmt.Sprintf("%s of user %d", stat.Comm, status.UIDs[0]), nil
	}
	command, err := proc.CmdLine()
	if err != nil {
		return "", err
	}
	program, err := proc.Executable()
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return "", err
	}
	if program == "" && len(command) == 0 && stat.Flags&pfKthread == 0 {
		return "", fs.ErrNotExist // it is about to end: its memory is gone already, and with it its name
	}
	// The second word is the script where the first is its interpreter.
	names := append([]string{strings.TrimSuffix(program, " (deleted)")}, command[:min(2, len(command))]...)
	for _, name := range names {
		if filepath.Base(name) == t.Program {
			return "", nil
		}
	}
	if program == "" {
		return fmt.Sprintf("%q, not %q", stat.Comm, t.Program), nil
	}
	return fmt.Sprintf("%q, not %q (if that is the right program, write program: %s)",
		strings.Join(command, " "), t.Program, filepath.Base(names[0])), nil
}

// bootTicks is the time since boot, as start times are counted, suspended time included.
func bootTicks() (uint64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, fmt.Errorf("the time since boot cannot be read: %w", err)
	}
	return uint64(now.Nano() / int64(time.Second/ticksPerSecond)), nil
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("the boot id cannot be read; is /proc mounted?: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
