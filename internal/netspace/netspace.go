// Package netspace enters network namespaces and keeps tables of packet rules in them whose effect ends with a lease.
//
// It is for faults that touch packets: it finds the namespace of a target, and finds it again in another process; it
// holds rules by the timeout of a set in the kernel, so that they end although nobody lives who would end them; it takes
// away exactly what one fault added. It is not for what the rules say, nor for rules that are to stay.
package netspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// Where says in which network namespace a target lives; the zero Where is the one that this process lives in. Relative
// paths start from Dir.
type Where struct {
	Namespace string // path of a namespace's file, such as /run/netns/shop
	Pidfile   string // of a process that lives in it
	Dir       string
}

// Validate refuses a Where that says two things.
func (w Where) Validate() error {
	if w.Namespace != "" && w.Pidfile != "" {
		return errors.New("namespace and pidfile both name a network namespace; write one")
	}
	return nil
}

// Space is one network namespace that is kept open. It may be used concurrently until Close.
type Space struct {
	ID   uint64 // tells namespaces that exist at the same time apart; the inode of its file
	file *os.File
	own  bool
}

// ErrGone means that a namespace does not exist any more, and with it nothing that was in it.
var ErrGone = errors.New("the network namespace is gone")

// Open opens the namespace. The error names what is missing: the namespace, the process, or the right to touch it.
func (w Where) Open() (*Space, error) {
	if err := w.rights(); err != nil {
		return nil, err
	}
	path := "/proc/self/ns/net"
	switch {
	case w.Namespace != "":
		path = w.path(w.Namespace)
	case w.Pidfile != "":
		pid, err := w.pid()
		if err != nil {
			return nil, err
		}
		path = fmt.Sprintf("/proc/%d/ns/net", pid)
	}
	space, err := open(path)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("cannot open the network namespace: %w", err),
			"write the path of its file under namespace, or the pidfile of a running process that lives in it under pidfile")
	}
	space.own = w.isOwn()
	return space, nil
}

// Reopen opens the namespace that had this ID when it was opened first, although the process that was named lives in
// another one meanwhile. Where nothing lives in it any more and its file leads elsewhere, it is ErrGone.
func (w Where) Reopen(id uint64) (*Space, error) {
	space, err := w.Open()
	if err == nil && space.ID == id {
		return space, nil
	}
	if err == nil {
		space.Close()
	} else if rights := w.rights(); rights != nil {
		return nil, rights
	}
	others, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	for _, path := range others {
		space, err := open(path)
		if err != nil {
			continue // ended meanwhile
		}
		if space.ID == id {
			return space, nil
		}
		space.Close()
	}
	return nil, ErrGone
}

func (w Where) isOwn() bool { return w.Namespace == "" && w.Pidfile == "" }

func (w Where) path(written string) string {
	if filepath.IsAbs(written) {
		return written
	}
	return filepath.Join(w.Dir, written)
}

func (w Where) pid() (int, error) {
	raw, err := os.ReadFile(w.path(w.Pidfile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, jenner.Permanent(fmt.Errorf("no process is known: %w", err), "start it first")
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid <= 0 {
		return 0, jenner.Permanent(fmt.Errorf("pidfile %s does not hold a process id", w.path(w.Pidfile)), "")
	}
	return pid, nil
}

func open(path string) (*Space, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	kind, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		file.Close()
		return nil, fmt.Errorf("%s is no network namespace", path)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		file.Close()
		return nil, err
	}
	return &Space{ID: stat.Ino, file: file}, nil
}

// Close lets the namespace go.
func (s *Space) Close() error { return s.file.Close() }

// FD is the descriptor that libraries take to work in the namespace; zero means this process's own.
func (s *Space) FD() int {
	if s.own {
		return 0
	}
	return int(s.file.Fd())
}

// Do runs work on a thread in the namespace. Sockets that work makes stay in the namespace; goroutines that it starts do
// not get there.
func (s *Space) Do(work func() error) error {
	if s.own {
		return work()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: a thread that left its namespace ends and serves nobody else
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("cannot enter the network namespace: %w", err)
			return
		}
		done <- work()
	}()
	return <-done
}
