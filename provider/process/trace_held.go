package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// interposed is what the faults on the calls of a live process share. A process of Jenner's own stands between the target
// and the kernel by ptrace; when it ends, however it does, the kernel lets go of the target, which goes on unharmed.
// Only one fault of this kind, and no debugger, can be on a process at a time, and no skew of its clock. What the program
// does without calls is not reached: files that it has mapped into its memory, and io_uring. While the fault is armed
// each call of the target, also one that is not meant, takes two switches to the other process and back, some 25 to 60 µs
// on a busy machine. When the fault begins and ends, calls that wait may end with EINTR, as they may at SIGCONT.
type interposed struct {
	victim
	chaos.HeldElsewhere
	// Path is a file, or a folder with all that is in it; relative to the folder of the target's document. Path,
	// descriptor, or both must be written.
	Path string `json:"path,omitempty"`
	// Descriptor is the number of an open file, pipe or connection of the process.
	Descriptor *int `json:"descriptor,omitempty"`
	// Calls are those that the fault is for: read, write, fsync, open, truncate, rename, remove, stat, mkdir.
	Calls []string `json:"calls,omitempty"`
	// Share of those calls that the fault hits, by chance.
	Share jenner.Share `json:"share,omitempty"`
	// Children are hit too: the processes that descend from the target, now and later.
	Children bool `json:"children,omitempty"`
	// Sandboxed says that the target runs behind a seccomp filter that refuses unknown calls and does not kill for them.
	Sandboxed bool `json:"sandboxed,omitempty"`
}

func newInterposed() interposed {
	return interposed{Calls: []string{"read", "write", "fsync"}, Share: 1}
}

// Validate checks the parameters that these faults share.
func (f *interposed) Validate() error {
	_, err := families(f.Calls)
	switch {
	case err != nil:
		return err
	case f.Path == "" && f.Descriptor == nil:
		return errors.New("neither path nor descriptor is written; say which files are meant")
	case len(f.Calls) == 0:
		return errors.New("calls is empty; say which calls are meant, such as [read, write]")
	case f.Share == 0:
		return errors.New("share is 0%; no call would be hit")
	case f.Descriptor != nil && *f.Descriptor < 0:
		return fmt.Errorf("descriptor %d is none", *f.Descriptor)
	}
	if f.Descriptor == nil {
		return nil
	}
	for _, word := range f.Calls {
		family := callFamilies[word]
		if len(family) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(family)), anyDescriptor) {
			return fmt.Errorf("calls %q take a path and no descriptor; write path alone", word)
		}
	}
	return nil
}

func anyDescriptor(arguments []argument) bool {
	return slices.ContainsFunc(arguments, func(a argument) bool { return a.path == none })
}

// between is the checkpoint: the process, and the paths that are meant, as written and without symbolic links.
type between struct {
	sight
	Paths []string `json:"paths,omitempty"`
}

// Checkpoint keeps which process it is, and refuses one that may not be traced, or is traced already.
func (f *interposed) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	raw, err := f.victim.Checkpoint(ctx, call)
	if err != nil {
		return nil, err
	}
	seen, err := before(raw)
	if err != nil {
		return nil, err
	}
	if err := traceable(seen.Pid, f.Sandboxed); err != nil {
		return nil, err
	}
	if _, err := ownVDSO(seen.Pid); err != nil {
		return nil, err // a skew of its clock could not be taken back while somebody else traces it
	}
	kept := between{sight: seen}
	if f.Path != "" {
		path := filepath.Clean(f.Path)
		if !filepath.IsAbs(path) {
			if path, err = filepath.Abs(filepath.Join(call.Record.Target.Dir, path)); err != nil {
				return nil, err
			}
		}
		kept.Paths = []string{path}
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			kept.Paths = append(kept.Paths, real)
		}
	}
	return jenner.Raw(kept), nil
}

// tally is what the process that stands between tells.
type tally struct {
	Threads int64           `json:"threads"` // traced at the beginning
	Calls   int64           `json:"calls"`   // of the families and on the files that are meant
	Hit     int64           `json:"hit"`
	Waited  jenner.Duration `json:"waited,omitempty"` // all together, as asked for
}

// hold stands between the target and the kernel until ctx ends or the target is gone.
func (f *interposed) hold(ctx context.Context, call chaos.Call, tell func(any), ruled ruling) error {
	kept, err := read[between](call)
	if err != nil {
		return err
	}
	arguments, err := families(f.Calls)
	if err != nil {
		return err
	}
	target, err := hold(kept.identity)
	if err != nil {
		return fmt.Errorf("pid %d: %w", kept.Pid, err)
	}
	defer target.close()
	pids := []int{kept.Pid}
	if f.Children {
		below, err := descendants(kept.Pid)
		if err != nil {
			return err
		}
		pids = append(pids, slices.Collect(maps.Keys(below))...)
	}
	meant := &calls{paths: kept.Paths, descriptor: none, arguments: arguments}
	if f.Descriptor != nil {
		meant.descriptor = *f.Descriptor
	}
	counted := &counter{ruled: ruled, share: float64(f.Share), chance: chanceOf(call.Record.ID)}
	done := counted.report(tell)
	defer done()
	t := &tracer{children: f.Children, ready: counted.begin, judge: func(tid int, entry *syscallInfo) ruling {
		if !meant.meant(tid, entry) {
			return ruling{}
		}
		return counted.rule()
	}}
	ownThread(func() { err = t.run(ctx, pids...) })
	if errors.Is(err, errGone) {
		return nil // a fault on a process that is gone is over
	}
	return err
}

// chanceOf is the same for the same fault, so that what was hit can be seen again.
func chanceOf(id string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(id))
	return rand.New(rand.NewPCG(hash.Sum64(), 0))
}

// counter rules on the calls that are meant, and counts. Only one OS thread rules; anybody may read.
type counter struct {
	ruled  ruling
	share  float64
	chance *rand.Rand

	threads, calls, hit atomic.Int64
}

func (c *counter) rule() ruling {
	c.calls.Add(1)
	if c.share < 1 && c.chance.Float64() >= c.share {
		return ruling{}
	}
	c.hit.Add(1)
	return c.ruled
}

func (c *counter) begin(threads int) { c.threads.Store(int64(threads)) }

func (c *counter) read() tally {
	hit := c.hit.Load()
	return tally{c.threads.Load(), c.calls.Load(), hit, jenner.Duration(time.Duration(hit) * c.ruled.wait)}
}

// reportEvery is how old what is told may be.
const reportEvery = 10 * time.Millisecond

// report tells the count whenever it has changed, first when all threads are traced, until the returned function is
// called.
func (c *counter) report(tell func(any)) (stop func()) {
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		var told tally
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for more := true; more; {
			select {
			case <-ended:
				more = false
			case <-tick.C:
			}
			if now := c.read(); now != told && now.Threads > 0 {
				tell(now)
				told = now
			}
		}
	}()
	return func() { close(ended); <-over }
}

// bite tells what the process that stands between has counted.
func (f *interposed) bite(call chaos.Call, what string) (chaos.Witness, error) {
	kept, err := read[between](call)
	if err != nil {
		return chaos.Witness{}, err
	}
	var counted tally
	if len(call.Held.Report) > 0 {
		if err := json.Unmarshal(call.Held.Report, &counted); err != nil {
			return chaos.Witness{}, fmt.Errorf("what the holding process told cannot be read: %w", err)
		}
	}
	files := strings.Join(kept.Paths[:min(1, len(kept.Paths))], "")
	if f.Descriptor != nil {
		files = strings.TrimSpace(fmt.Sprintf("descriptor %d %s", *f.Descriptor, files))
	}
	return chaos.Witness{Bit: counted.Hit > 0, Saw: fmt.Sprintf("%d of %d calls (%s) of pid %d on %s %s",
		counted.Hit, counted.Calls, strings.Join(f.Calls, ", "), kept.Pid, files, what)}, nil
}
