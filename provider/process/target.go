package process

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("process", "A process of this machine, known by its pidfile", func() any { return newTarget() })
}

// Target is a process that a command starts and a pidfile names. Relative paths start from the folder of the file that
// declares the target. A Target is not changed after it was decoded and may be read concurrently.
type Target struct {
	// Start is the command that starts the process, split into words at blanks, with '…', "…" and \ as a shell has them
	// and nothing else: no variables, no pipes. It returns once the process is started, or is the process itself and
	// stays in the foreground; a process that stays and has written no pidfile after a second gets one from Jenner.
	Start string `json:"start"`
	// Stop is the command that asks the process to end. Without it the process is asked by SIGTERM.
	Stop string `json:"stop,omitempty"`
	// Pidfile holds the process id in decimal. It is believed only for a process that is not younger than the file.
	Pidfile string `json:"pidfile"`
	// Program is the name of the program that runs, where it is not the first word of Start.
	Program string `json:"program,omitempty"`
	// Grace is how long the process may take to end by itself before SIGKILL; 5s where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
	// StartTimeout is how long starting may take until the pidfile names the process; 10s where not said.
	StartTimeout jenner.Duration `json:"start_timeout,omitempty"`
	// Env are variables of the environment, beside those that Jenner itself has.
	Env map[string]string `json:"env,omitempty"`
	// Log is the file that standard output and error are appended to; the pidfile with .log in place of .pid where not
	// said. Its folder is made where it is missing.
	Log string `json:"log,omitempty"`

	name       string // the target's name, for messages
	dir        string
	start      []string
	stop       []string
	startLimit time.Duration
	own        identity // the process that was last seen to be the target's own, and need not be asked again whose it is
}

func newTarget() *Target {
	return &Target{Grace: jenner.Duration(5 * time.Second), StartTimeout: jenner.Duration(10 * time.Second)}
}

// Validate checks what can be checked without touching anything.
func (t *Target) Validate() error {
	_, startErr := words(t.Start)
	_, stopErr := words(t.Stop)
	switch {
	case t.Pidfile == "":
		return errors.New("pidfile is missing; a process is known by its pidfile")
	case startErr != nil:
		return fmt.Errorf("start: %w", startErr)
	case t.Start == "":
		return errors.New("start is missing; write the command that starts the process")
	case stopErr != nil:
		return fmt.Errorf("stop: %w", stopErr)
	case filepath.Base(t.Program) != t.Program && t.Program != "":
		return fmt.Errorf("program %q is a path; write the name alone", t.Program)
	}
	return nil
}

// decode reads a target's parameters and resolves its paths.
func decode(target jenner.Target) (*Target, error) {
	if target.Kind != "process" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not a process", target.Ref()), "")
	}
	t := newTarget()
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	t.name, t.dir = target.Name, target.Dir
	t.start, _ = words(t.Start) // Validate has seen both errors
	t.stop, _ = words(t.Stop)
	t.startLimit = t.StartTimeout.Or(10 * time.Second)
	t.Pidfile = t.path(t.Pidfile)
	if t.Program == "" {
		t.Program = filepath.Base(t.start[0])
	}
	if t.Log == "" {
		t.Log = trimPid(t.Pidfile) + ".log"
	}
	t.Log = t.path(t.Log)
	return t, nil
}

func (t *Target) path(written string) string {
	if filepath.IsAbs(written) {
		return written
	}
	return filepath.Join(t.dir, written)
}

func trimPid(path string) string {
	if filepath.Ext(path) == ".pid" {
		return path[:len(path)-len(".pid")]
	}
	return path
}
