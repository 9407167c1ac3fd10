package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("slow_start", "Let each start of the process take longer", func() chaos.Fault { return &FaultSlowStart{} }, "process")
}

// FaultSlowStart stops each new process of the target with SIGSTOP as soon as it is seen, and lets it go on after the
// delay. The process that runs at the injection is left alone, or ended where `restart` says so. A start is seen when the
// pidfile names the process, and earlier where Jenner starts it.
//
// A stopped process cannot wake itself. So a small shell stands by, which outlives the process that holds the fault and
// lets go on what is stopped when that one is gone, however it went.
type FaultSlowStart struct {
	chaos.HeldElsewhere
	victim
	Delay   jenner.Duration `json:"delay"`             // how long each new process is stopped
	Restart bool            `json:"restart,omitempty"` // end the process at the injection, so that there is a start
}

// slowed is what a slow start reports.
type slowed struct {
	Slowed  int        `json:"slowed"`            // how many processes were stopped so far
	Stopped []identity `json:"stopped,omitempty"` // those that are stopped now
}

// Validate checks the parameters.
func (f *FaultSlowStart) Validate() error {
	if f.Delay <= 0 {
		return errors.New("delay is missing; write how long a new process is stopped, such as 5s")
	}
	return nil
}

// Checkpoint keeps which process runs before, and refuses a machine without the shell that stands by.
func (f *FaultSlowStart) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	if _, err := exec.LookPath("sh"); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("nothing could let a stopped process go on if Jenner is killed: %w", err), "install sh")
	}
	return f.victim.Checkpoint(ctx, call)
}

// Hold stops what starts, and lets it go on.
func (f *FaultSlowStart) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	t, err := decode(call.Record.Target)
	if err != nil {
		return err
	}
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return err
	}
	guard, err := startWaker()
	if err != nil {
		return err
	}
	b := &brake{target: t, delay: f.Delay.Std(), guard: guard, known: map[identity]bool{was.identity: true}}
	tell(b.report())
	for ctx.Err() == nil && err == nil {
		var changed bool
		if changed, err = b.turn(time.Now()); changed {
			tell(b.report())
		}
		pause(ctx, lookEvery)
	}
	err = errors.Join(err, b.letGo(func(braked) bool { return true }), guard.end())
	tell(b.report())
	return err
}

// Inject ends the process of the checkpoint where the parameters say so.
func (f *FaultSlowStart) Inject(ctx context.Context, call chaos.Call) error {
	if err := f.HeldElsewhere.Inject(ctx, call); err != nil || !f.Restart {
		return err
	}
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return err
	}
	t, _, unlock, err := locked(ctx, call.Record.Target)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = t.end(ctx, was.identity, t.patience(0))
	return err
}

// Bite counts the processes that were stopped.
func (*FaultSlowStart) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	done, err := reported[slowed](call)
	if err != nil || done.Slowed == 0 {
		return chaos.Witness{Saw: "no process has started yet"}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%d new processes were stopped, %d of them are now", done.Slowed, len(done.Stopped))}, nil
}

// Armed tells whether new processes would be stopped, or one that was is still.
func (*FaultSlowStart) Armed(_ context.Context, call chaos.Call) (bool, error) {
	done, err := reported[slowed](call)
	if err != nil || call.Held.Alive {
		return call.Held.Alive, err
	}
	for _, id := range done.Stopped {
		if is, err := isStopped(id); is || err != nil {
			return is, err
		}
	}
	return false, nil
}

// Undo lets go on what the fault has stopped, exactly those processes, and starts the target where the fault has ended it
// and nobody has started it.
func (f *FaultSlowStart) Undo(ctx context.Context, call chaos.Call) error {
	done, err := reported[slowed](call)
	for _, id := range done.Stopped {
		is, one := isStopped(id)
		if is {
			one = deliver(ctx, id, unix.SIGCONT)
		}
		if one != nil && !errors.Is(one, errGone) {
			err = errors.Join(err, one)
		}
	}
	if f.Restart && err == nil {
		_, err = ensureRunning(ctx, call.Record.Target)
	}
	return err
}

func isStopped(id identity) (bool, error) {
	process, err := hold(id)
	if errors.Is(err, errGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer process.close()
	is, err := process.stopped()
	if errors.Is(err, errGone) {
		return false, nil
	}
	return is, err
}

// brake stops each process of a target once.
type brake struct {
	target  *Target
	delay   time.Duration
	guard   *waker
	known   map[identity]bool // processes that are not to be stopped any more
	claimed bool              // a start was slowed whose process the pidfile does not name yet
	stops   []braked
	slowed  int
}

type braked struct {
	identity
	due time.Time
}

func (b *brake) report() slowed {
	done := slowed{Slowed: b.slowed}
	for _, one := range b.stops {
		done.Stopped = append(done.Stopped, one.identity)
	}
	return done
}

// turn stops what is new and lets go on what is due. It tells whether anything was done.
func (b *brake) turn(now time.Time) (changed bool, err error) {
	before := len(b.stops)
	if err := b.letGo(func(one braked) bool { return !now.Before(one.due) }); err != nil {
		return true, err
	}
	id, is := b.newcomer()
	if !is {
		return len(b.stops) != before, nil
	}
	b.known[id] = true
	b.stops = append(b.stops, braked{id, now.Add(b.delay)})
	b.guard.names(b.report().Stopped) // before it is stopped: from now on it may be
	process, err := hold(id)
	if err == nil {
		defer process.close()
		err = process.signal(unix.SIGSTOP)
	}
	if errors.Is(err, errGone) {
		b.stops = b.stops[:len(b.stops)-1]
		return true, nil
	}
	b.slowed++
	return true, err
}

// newcomer is a process of the target that was not seen before. Where the command that starts it is the same program, as
// of a daemon that puts itself into the background, stopping the command is the slow start, and what it leaves behind is
// not stopped again.
func (b *brake) newcomer() (identity, bool) {
	if seen, err := b.target.look(); err == nil && seen.Alive {
		isNew := !b.known[seen.identity]
		if isNew && b.claimed || seen.Stopped {
			b.known[seen.identity] = true // somebody else's stop is not ours to end
			isNew = false
		}
		b.claimed = false
		return seen.identity, isNew
	}
	_, command, yes, err := b.target.underWay()
	if err != nil || !yes || command.Pid == 0 || b.known[command] {
		return identity{}, false
	}
	stat, living, err := readStat(command.Pid)
	if err != nil || !living || stat.Starttime != command.Start {
		return identity{}, false
	}
	if whose, err := b.target.foreign(command.Pid, stat); err != nil || whose != "" {
		return identity{}, false // a wrapper; what it starts is seen by its pidfile
	}
	b.claimed = true
	return command, true
}

// letGo lets go on those for which which says so.
func (b *brake) letGo(which func(braked) bool) error {
	var failed error
	left := slices.DeleteFunc(b.stops, func(one braked) bool {
		if !which(one) {
			return false
		}
		process, err := hold(one.identity)
		if err == nil {
			err = process.signal(unix.SIGCONT)
			process.close()
		}
		if err != nil && !errors.Is(err, errGone) {
			failed = errors.Join(failed, err)
			return false
		}
		return true
	})
	if len(left) != len(b.stops) {
		b.stops = left
		b.guard.names(b.report().Stopped)
	}
	return failed
}

// waker is a shell that lets stopped processes go on when its input ends. The last line of its input names them.
type waker struct {
	command *exec.Cmd
	input   io.WriteCloser
}

// wakerScript compares the start time too, field 22 of /proc/PID/stat, so that a used-again number is left alone.
const wakerScript = `last=
while read -r line; do last=$line; done
for one in $last; do
  { read -r stat < "/proc/${one%:*}/stat"; } 2>/dev/null || continue
  set -- ${stat##*) }
  if [ "${20}" = "${one#*:}" ]; then kill -CONT "${one%:*}"; fi
done 2>/dev/null
exit 0`

func startWaker() (*waker, error) {
	command := exec.Command("sh", "-c", wakerScript)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what kills our group does not reach it
	input, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("nothing could let a stopped process go on if this one is killed: %w", err)
	}
	return &waker{command, input}, nil
}

// names says which processes are stopped now. What was written reaches the shell even if this process dies at once.
func (w *waker) names(stopped []identity) {
	var line strings.Builder
	for _, id := range stopped {
		fmt.Fprintf(&line, "%d:%d ", id.Pid, id.Start)
	}
	_, _ = io.WriteString(w.input, line.String()+"\n") // an error means that it is gone; then the undo is left
}

// end ends the shell. What it was told last goes on.
func (w *waker) end() error {
	w.input.Close()
	if err := w.command.Wait(); err != nil {
		return fmt.Errorf("the shell that stands by: %w", err)
	}
	return nil
}
