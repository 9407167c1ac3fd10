package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/cgroup"
	"github.com/jenner-heal/jenner/internal/lab"
)

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

var machine = jenner.Target{Kind: "host", Name: "here"}

// sleeper is a target whose process sleeps. It ends with the test.
func sleeper(t testing.TB) (jenner.Target, int) {
	t.Helper()
	process, err := lab.Start(lab.Options{}, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Stop(syscall.SIGKILL, time.Second) })
	return targetOf(t, process.Pid()), process.Pid()
}

func targetOf(t testing.TB, pid int) jenner.Target {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.pid")
	if err := os.WriteFile(path, fmt.Appendln(nil, pid), 0o600); err != nil {
		t.Fatal(err)
	}
	return jenner.Target{Kind: "process", Name: "shop", Params: jenner.Params{"start": jenner.Raw("sleep 60"), "pidfile": jenner.Raw(path)}}
}

// absent is a target whose process is gone.
func absent(t *testing.T) jenner.Target {
	t.Helper()
	process, err := lab.Start(lab.Options{}, "true")
	if err != nil {
		t.Fatal(err)
	}
	<-process.Ended()
	return targetOf(t, process.Pid())
}

// madeGroup makes a control group below this test's own one, which goes with the test. It needs root, as the faults do
// that work there.
func madeGroup(t testing.TB, controller string) cgroup.Group {
	t.Helper()
	group, err := cgroup.Of(os.Getpid(), controller)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("jenner-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	group.Path, group.Dir = filepath.Join(group.Path, name), filepath.Join(group.Dir, name)
	if err := os.Mkdir(group.Dir, 0o755); err != nil {
		t.Fatalf("this test makes a control group, and has to run as root: %v", err)
	}
	t.Cleanup(func() {
		await.True(t, "the group is empty", func() bool { return os.Remove(group.Dir) == nil })
	})
	return group
}

func put(t testing.TB, group cgroup.Group, file, text string) {
	t.Helper()
	if err := group.Write(file, text); err != nil {
		t.Fatal(err)
	}
}

// injecting is an injector whose holders are real processes.
func injecting(t testing.TB) *chaos.Injector {
	t.Helper()
	return faulttest.Injector(t, catalog.Merge(Provider).MakeFault)
}

// inject injects a fault, which is undone at the end of the test at the latest.
func inject(t *testing.T, fault string, target jenner.Target, params jenner.Params) (*chaos.Injector, jenner.FaultRecord) {
	t.Helper()
	injector := injecting(t)
	record, err := injector.Inject(t.Context(), jenner.FaultRecord{ID: "f", Fault: fault, Target: target, Params: params}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { injector.Undo(context.Background(), record) }) // the test's own context has ended by then
	return injector, record
}

func bites(t *testing.T, injector *chaos.Injector, record jenner.FaultRecord) string {
	t.Helper()
	var witness chaos.Witness
	await.True(t, "the fault bites", func() bool {
		var err error
		if witness, err = injector.Bite(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		return witness.Bit
	})
	return witness.Saw
}

func refused(t *testing.T, fault string, target jenner.Target, params jenner.Params, want string) {
	t.Helper()
	_, err := injecting(t).Inject(t.Context(), jenner.FaultRecord{ID: "f", Fault: fault, Target: target, Params: params}, time.Minute)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s with %v says %v, want %q", fault, params, err, want)
	}
}
