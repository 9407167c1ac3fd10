package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// server is the cluster's server on this machine, known by its data directory.
type server struct {
	*Target
	pgCtl string
	as    *syscall.Credential // nil: as this process
}

// server gives what starts and stops the cluster, or says what is missing for that.
func (t *Target) server() (*server, error) {
	if t.Data == "" {
		return nil, jenner.Permanent(fmt.Errorf("%s: nothing is known of its data directory", t.ref),
			"where the cluster runs on this machine, write data, and bin and run_as as needed")
	}
	s := &server{Target: t, pgCtl: filepath.Join(t.Bin, "pg_ctl")}
	if t.Bin == "" {
		found, err := exec.LookPath("pg_ctl")
		if err != nil {
			return nil, jenner.Permanent(fmt.Errorf("%s: pg_ctl is not in PATH", t.ref), "write its folder as bin, such as /usr/lib/postgresql/15/bin")
		}
		s.pgCtl = found
	}
	if t.RunAs == "" {
		if os.Geteuid() == 0 {
			return nil, jenner.Permanent(fmt.Errorf("%s: PostgreSQL does not run as root", t.ref), "write whom it runs as: run_as: postgres")
		}
		return s, nil
	}
	account, err := user.Lookup(t.RunAs)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("%s: run_as: %w", t.ref, err), "")
	}
	if account.Uid == strconv.Itoa(os.Geteuid()) {
		return s, nil
	}
	if os.Geteuid() != 0 {
		return nil, jenner.Permanent(fmt.Errorf("%s: only root can run pg_ctl as %s; needs CAP_SETUID", t.ref, t.RunAs), "run as root, or as that user")
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return s, errors.Join(uidErr, gidErr)
}

// serverOf decodes a target and gives its server.
func serverOf(written jenner.Target) (*server, error) {
	t, err := decode(written)
	if err != nil {
		return nil, err
	}
	return t.server()
}

// life is a server as it was seen once.
type life struct {
	Pid   int    `json:"pid,omitempty"`   // of the postmaster; 0 where none runs
	Start uint64 `json:"start,omitempty"` // of that process, in clock ticks since the boot: a used-again pid has another one
}

func (l life) runs() bool { return l.Pid != 0 }

// look finds the server that runs in the data directory, whoever started it.
func (s *server) look() (life, error) {
	if _, err := os.Stat(s.Data); err != nil {
		return life{}, jenner.Permanent(fmt.Errorf("%s: its data directory: %w", s.ref, err), "")
	}
	raw, err := os.ReadFile(filepath.Join(s.Data, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return life{}, nil
	}
	if err != nil {
		return life{}, jenner.Permanent(fmt.Errorf("%s: %w", s.ref, err), "run as root, or as the user that the server runs as")
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return life{}, nil // being written, or being removed
	}
	process, err := procfs.NewProc(pid)
	if err != nil {
		return life{}, nil // a crash left the file behind
	}
	stat, err := process.Stat()
	if err != nil || stat.State == "Z" || stat.State == "X" || !s.owns(pid, stat.Comm) {
		return life{}, nil
	}
	return life{Pid: pid, Start: stat.Starttime}, nil
}

// owns tells whether a process works in the data directory, as all of a server's do. Where that may not be seen, the name
// of its program must do.
func (s *server) owns(pid int, program string) bool {
	where, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if errors.Is(err, os.ErrPermission) {
		return program == "postgres" || program == "postmaster"
	}
	data, dataErr := filepath.EvalSymlinks(s.Data)
	return err == nil && dataErr == nil && where == data
}

// run runs pg_ctl to its end. Its own patience is what is left of ctx's time.
func (s *server) run(ctx context.Context, args ...string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	wait := defaultPatience
	if deadline, has := ctx.Deadline(); has {
		wait = time.Until(deadline)
	}
	args = append(args, "-D", s.Data, "-w", "-t", strconv.Itoa(int(wait.Seconds())+1))
	cmd := exec.CommandContext(ctx, s.pgCtl, args...)
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.as}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "PG") })
	said, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return jenner.Retryable(fmt.Errorf("%s: pg_ctl %s: %w", s.ref, args[0], context.Cause(ctx)), "")
	}
	if err != nil {
		return jenner.Retryable(fmt.Errorf("%s: pg_ctl %s: %w: %s", s.ref, args[0], err, strings.Join(strings.Fields(string(said)), " ")),
			"its log may say more: "+s.Log)
	}
	return nil
}

// start starts the server and returns when it answers.
func (s *server) start(ctx context.Context) error {
	args := []string{"start", "-l", s.Log}
	if s.Options != "" {
		args = append(args, "-o", s.Options)
	}
	return s.run(ctx, args...)
}

// stop ends the server and returns when it is gone. The mode is smart, fast or immediate.
func (s *server) stop(ctx context.Context, mode string) error { return s.run(ctx, "stop", "-m", mode) }

// quit asks exactly that server to end at once, and waits for it, but not for long.
func (s *server) quit(ctx context.Context, seen life) error {
	pidfd, err := unix.PidfdOpen(seen.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: pid %d: %w", s.ref, seen.Pid, err)
	}
	defer unix.Close(pidfd)
	if now, err := s.look(); err != nil || now != seen {
		return err // it ended, and its number is another one's
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGQUIT, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return jenner.Permanent(fmt.Errorf("%s: cannot end pid %d: %w", s.ref, seen.Pid, err), "needs CAP_KILL; run as root, or as the user of the server")
	}
	patience := time.NewTimer(obeyPatience)
	defer patience.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := s.look(); err != nil || now != seen {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return nil
		case <-tick.C:
		}
	}
}

// slay ends at once all that works in the data directory, where the server itself does not obey any more. A postmaster
// alone must not be killed: what it had started would go on writing for a while.
func (s *server) slay(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := procfs.AllProcs()
		if err != nil {
			return err
		}
		left := 0
		for _, process := range all {
			stat, err := process.Stat()
			if err != nil || stat.State == "Z" || stat.Comm != "postgres" && stat.Comm != "postmaster" || !s.owns(process.PID, "") {
				continue
			}
			left++
			if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return jenner.Permanent(fmt.Errorf("%s: cannot kill pid %d: %w", s.ref, process.PID, err), "needs CAP_KILL; run as root, or as the user of the server")
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
