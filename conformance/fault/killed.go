package faulttest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/await"
)

// Make finds a fault by its full name or verb and decodes its parameters; a catalog's MakeFault.
type Make func(name, kind string, params jenner.Params) (full string, fault chaos.Fault, err error)

// The words that turn a test program into one of the processes that a fault needs.
const (
	wordHold    = "faulttest-hold"    // DIR ID: holds a fault
	wordReap    = "faulttest-reap"    // DIR: the reaper
	wordControl = "faulttest-control" // DIR RECORD: injects the fault of a file, and renews it until it is killed
)

// killedLease is how long the faults of Killed last where nobody renews them; slowLease likewise, for those that say that they
// take time to work. Where a fault's mark stands on its target, a controller that writes to the target too is refused when
// it is renewed between, and tries again much later: an autoscaler, at its next look.
const (
	killedLease = 2 * time.Second
	slowLease   = 15 * time.Second
)

var update = flag.Bool("killed.update", false, "write down anew what ends each fault when processes are killed")

// Main is the TestMain of a package whose faults are held by a process, or are tested by Killed: it lets the test program
// be those processes too.
func Main(m *testing.M, fault Make) {
	if Programs(fault) {
		return
	}
	os.Exit(m.Run())
}

// Programs is Main for packages that have a TestMain of their own: it runs the process that the arguments ask for, and
// tells whether they did.
func Programs(fault Make) bool {
	words := map[string]func(Make, []string) error{wordHold: hold, wordReap: reap, wordControl: control}
	if len(os.Args) < 3 || words[os.Args[1]] == nil {
		return false
	}
	if err := words[os.Args[1]](fault, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// Injector is an injector with a journal of its own, whose faults are held by processes of this very test program.
func Injector(tb testing.TB, fault Make) *chaos.Injector {
	tb.Helper()
	injector, err := injectorOf(fault, filepath.Join(tb.TempDir(), "faults"))
	if err != nil {
		tb.Fatal(err)
	}
	return injector
}

func injectorOf(fault Make, dir string) (*chaos.Injector, error) {
	journal, err := chaos.OpenJournal(dir)
	if err != nil {
		return nil, err
	}
	path, err := os.Executable()
	return &chaos.Injector{Journal: journal, Now: time.Now, Build: fault,
		Holders: &chaos.Holders{Command: []string{path, wordHold, dir}, Journal: journal},
		Held:    func() (jenner.Hold, bool) { return jenner.Hold{}, false }}, err
}

func hold(fault Make, args []string) error {
	injector, err := injectorOf(fault, args[0])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return chaos.Hold(ctx, injector, args[1], os.Stdin, os.Stdout)
}

func reap(fault Make, args []string) error {
	injector, err := injectorOf(fault, args[0])
	if err != nil {
		return err
	}
	return chaos.Reap(context.Background(), injector, os.Stdin, await.Patience, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// control injects and says so, then renews the lease as long as the fault holds, as a drill does.
func control(fault Make, args []string) error {
	injector, err := injectorOf(fault, args[0])
	if err != nil {
		return err
	}
	var record jenner.FaultRecord
	raw, err := os.ReadFile(args[1])
	if err == nil {
		err = json.Unmarshal(raw, &record)
	}
	if err != nil {
		return err
	}
	path, _ := os.Executable()
	reaper := &chaos.Reaper{Command: []string{path, wordReap, args[0]}, Log: args[0] + ".reaper.log"}
	injector.Guard = reaper.Start
	ctx := context.Background()
	lease := killedLease
	if injector.BitesWithin(record) > 0 {
		lease = slowLease
	}
	// The injection itself may take longer than the lease, which begins after it.
	if record, err = injector.Inject(ctx, record, long); err == nil {
		record, err = injector.Renew(ctx, record, lease)
	}
	if err != nil {
		return errors.Join(err, reaper.Stop())
	}
	fmt.Printf("injected %d\n", reaper.Pid())
	for range time.Tick(lease / 3) {
		if record, err = injector.Renew(ctx, record, lease); err != nil {
			break
		}
	}
	_, err = injector.UndoAll(ctx, func(jenner.FaultRecord) bool { return true })
	fmt.Println("undone")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return err
}

// killing is one way of killing.
type killing struct {
	name                       string
	controller, holder, reaper bool
}

var killings = []killing{
	{name: "controller", controller: true},
	{name: "holder", holder: true},
	{name: "controller and holder", controller: true, holder: true},
	{name: "controller and reaper", controller: true, reaper: true},
	{name: "controller, holder and reaper", controller: true, holder: true, reaper: true},
}

// Killed injects the fault in a process of its own and kills, in the middle of the fault, the process that controls it,
// the one that holds it, the reaper, and those together. It shows that the fault is gone afterwards and that the
// fingerprint is as before. What ended the fault is compared with testdata/killed/FAULT.txt; -killed.update writes it.
func Killed(t *testing.T, build func(t *testing.T) World) {
	var told []string
	for _, killing := range killings {
		if killing.holder && !build(t).holder() {
			continue
		}
		t.Run("killed: "+killing.name, func(t *testing.T) {
			world := build(t)
			if world.Record.Fault == "" {
				t.Fatal("Killed needs Record.Fault and Record.Params, for another process makes the fault")
			}
			told = append(told, world.Record.Fault+"\t"+killing.name+"\t"+killed(t, world, killing))
		})
	}
	if t.Failed() {
		return
	}
	compare(t, strings.SplitN(told[0], "\t", 2)[0], strings.Join(told, "\n")+"\n")
}

func compare(t *testing.T, fault, text string) {
	path := filepath.Join("testdata", "killed", fault+".txt")
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
		t.Errorf("%s (%v) says\n%s\nand this is what happened:\n%s\nWhere that is right: go test -run %s -args -killed.update",
			path, err, kept, text, t.Name())
	}
}

// killed kills and gives in words what ended the fault.
func killed(t *testing.T, world World, killing killing) string {
	if world.Record.ID == "" {
		world.Record.ID = "killed-" + jenner.Fingerprint(t.Name())
	}
	victim := started(t, world)
	stir(t, world)
	victim.bites(t)
	victim.kill(t, killing)
	if !killing.reaper {
		await.True(t, "the fault is undone", func() bool { return victim.forgotten(t) })
		victim.sameAsBefore(t)
		if killing.controller {
			return "the reaper undid it"
		}
		return "the controller undid it"
	}
	how := "the next start undid it"
	if world.LeaseHeld || world.holder() {
		await.True(t, "the fault ends by itself", func() bool { return !victim.armed(t) })
		how = "it ended by itself"
	}
	injector := &chaos.Injector{Journal: victim.journal, Now: time.Now, Holders: victim.holders,
		Build: func(string, string, jenner.Params) (string, chaos.Fault, error) {
			return world.Record.Fault, world.Fault(), nil
		}}
	if _, err := injector.UndoAll(limited(t), func(jenner.FaultRecord) bool { return true }); err != nil {
		t.Fatalf("the next start cannot undo it: %v", err)
	}
	victim.sameAsBefore(t)
	return how
}

// victims are the processes of one injected fault.
type victims struct {
	*life
	controller *exec.Cmd
	ended      chan struct{} // the controller was waited for
	reaper     int
}

// started injects the fault in a process of its own.
func started(t *testing.T, world World) *victims {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "faults")
	journal, err := chaos.OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := &victims{life: &life{world: world, record: world.Record, journal: journal, holders: &chaos.Holders{Journal: journal}},
		ended: make(chan struct{})}
	path := filepath.Join(t.TempDir(), "record.json")
	if err := os.WriteFile(path, jenner.Raw(world.Record), 0o600); err != nil {
		t.Fatal(err)
	}
	command := self(t, wordControl, dir, path)
	v.controller = exec.Command(command[0], command[1:]...)
	v.controller.Stderr = os.Stderr
	stdin, err := v.controller.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.controller.StdoutPipe()
	if err == nil {
		err = v.controller.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, readErr := lines.ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = v.controller.Wait()
		close(v.ended)
	}()
	t.Cleanup(func() {
		stdin.Close()
		v.controller.Process.Kill()
		<-v.ended
		v.holders.End(context.WithoutCancel(t.Context()), v.record.ID)
	})
	if _, err := fmt.Sscanf(line, "injected %d", &v.reaper); err != nil {
		t.Fatalf("the fault was not injected: %v, %v", err, readErr)
	}
	if v.record, err = journal.Get(world.Record.ID); err != nil {
		t.Fatal(err)
	}
	return v
}

// kill kills those that are to be killed as closely together as can be.
func (v *victims) kill(t *testing.T, killing killing) {
	t.Helper()
	var pids []int
	if killing.reaper {
		pids = append(pids, v.reaper)
	}
	if killing.controller {
		pids = append(pids, v.controller.Process.Pid)
	}
	if killing.holder {
		pids = append(pids, v.holders.Held(v.record.ID).Pid)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("cannot kill pid %d: %v", pid, err)
		}
	}
	if killing.controller {
		<-v.ended
	}
}

// forgotten tells whether the journal knows the fault no more, which it does only when its end is proved.
func (v *victims) forgotten(t *testing.T) bool {
	t.Helper()
	open, err := v.journal.Open()
	if err != nil {
		t.Fatal(err)
	}
	return len(open) == 0
}
