package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
)

// mounted is a small file system of its own, which goes with the test. It needs root; the fault does not.
func mounted(t testing.TB) jenner.Target {
	t.Helper()
	path := t.TempDir()
	if err := unix.Mount("jenner-test", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=16m"); err != nil {
		t.Fatalf("this test mounts a tmpfs of 16 MB, and has to run as root: %v", err)
	}
	t.Cleanup(func() {
		// A process that was killed is gone a moment before the last of its threads, and with it its files.
		await.True(t, "nothing is open on the file system", func() bool { return unix.Unmount(path, 0) == nil })
	})
	return jenner.Target{Kind: "disk", Name: "data", Params: jenner.Params{"path": jenner.Raw(path)}}
}

func folder(target jenner.Target) string {
	disk, _ := decodeDisk(target)
	return disk.Path
}

func free(t *testing.T, path string) Size {
	t.Helper()
	bytes, _, err := freeOn(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func diskFullWorld(t *testing.T) faulttest.World {
	return faulttest.World{
		Fault:  func() chaos.Fault { return &FaultDiskFull{Leave: megabyte} },
		Record: jenner.FaultRecord{Fault: "host.disk_full", Target: mounted(t)},
		Absent: jenner.Target{Kind: "disk", Name: "none", Params: jenner.Params{"path": jenner.Raw(filepath.Join(t.TempDir(), "none"))}},
	}
}

func TestDiskFullConforms(t *testing.T) { faulttest.Run(t, diskFullWorld) }

func TestL21DiskFullEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, diskFullWorld) }

// TestDiskFull: a program gets ENOSPC, no folder shows a file, and after the undo all room is back.
func TestDiskFull(t *testing.T) {
	target := mounted(t)
	path := folder(target)
	before := free(t, path)
	injector, record := inject(t, "disk_full", target, jenner.Params{"leave": jenner.Raw("64KB")})
	if saw := bites(t, injector, record); !strings.Contains(saw, "has 64KB free, before 16MB") {
		t.Errorf("the witness saw %s", saw)
	}
	if now := free(t, path); now != 64*kilobyte {
		t.Errorf("%s are free, want 64KB", now)
	}
	if err := os.WriteFile(filepath.Join(path, "order"), make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing 128KB says %v, want ENOSPC", err)
	}
	if err := os.Remove(filepath.Join(path, "order")); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(path); err != nil || len(files) > 0 {
		t.Errorf("the folder shows %v, %v", files, err)
	}
	refused(t, "disk_full", target, nil, "full already")
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if now := free(t, path); now != before {
		t.Errorf("%s are free after the undo, before %s", now, before)
	}
}

// TestDiskFullDoesNotFillAgain: room that a remediation makes is its success.
func TestDiskFullDoesNotFillAgain(t *testing.T) {
	target := mounted(t)
	path := folder(target)
	log := filepath.Join(path, "log")
	if err := os.WriteFile(log, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	injector, record := inject(t, "disk_full", target, jenner.Params{"leave": jenner.Raw("0")})
	bites(t, injector, record)
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	looks := time.Now().Add(100 * time.Millisecond)
	await.True(t, "a holder that fills again would have", func() bool { return time.Now().After(looks) })
	if armed, err := injector.Armed(t.Context(), record); err != nil || !armed {
		t.Errorf("armed: %v, %v", armed, err)
	}
	if now := free(t, path); now < 4*megabyte {
		t.Errorf("%s are free, although 4MB were cleaned up", now)
	}
}

// TestTakeWithoutFallocate: a file system that gives no room ahead is filled by writing, and one without nameless files by
// one that is unlinked at once.
func TestTakeWithoutFallocate(t *testing.T) {
	path := folder(mounted(t))
	file, err := unlinked(filepath.Join(path, "named"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if files, err := os.ReadDir(path); err != nil || len(files) > 0 {
		t.Errorf("the folder shows %v, %v", files, err)
	}
	for at := Size(0); at < 3*megabyte; at += megabyte {
		if err := write(file, at, megabyte); err != nil {
			t.Fatal(err)
		}
	}
	if now := free(t, path); now != 13*megabyte {
		t.Errorf("after 3MB were written %s of 16MB are free", now)
	}
	taken, err := take(t.Context(), file, path, 2*megabyte)
	if err != nil || free(t, path) != 2*megabyte {
		t.Errorf("took %s, %v, and %s are free, want 2MB", taken, err, free(t, path))
	}
}

// TestTheNameOfAMomentIsUndone: a holder that died between the making of a named file and its unlinking leaves the name.
func TestTheNameOfAMomentIsUndone(t *testing.T) {
	fault := &FaultDiskFull{}
	call := chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: mounted(t)}}
	var err error
	if call.Record.Checkpoint, err = fault.Checkpoint(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	clean, err := fault.Fingerprint(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	was, err := before(call)
	if err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(was.Path, ".jenner-full-of-somebody-else")
	for _, path := range []string{was.File, theirs} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := fault.Fingerprint(t.Context(), call); err != nil || left == clean {
		t.Errorf("the name does not show in the fingerprint: %s, %v", left, err)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if now, err := fault.Fingerprint(t.Context(), call); err != nil || now != clean {
		t.Errorf("after the undo the fingerprint is %s, %v", now, err)
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Errorf("somebody else's file: %v", err)
	}
}

func TestDiskFullRefuses(t *testing.T) {
	target := mounted(t)
	file := filepath.Join(folder(target), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(path string) jenner.Target {
		return jenner.Target{Kind: "disk", Name: "x", Params: jenner.Params{"path": jenner.Raw(path)}}
	}
	refused(t, "disk_full", at(file), nil, "is not a folder")
	refused(t, "disk_full", at("/proc"), nil, "/proc")
	refused(t, "disk_full", at(""), nil, "path is missing")
	refused(t, "host.disk_full", machine, nil, "it works on: disk")
	refused(t, "disk_full", target, jenner.Params{"leave": jenner.Raw("1TB")}, "full already")
	refused(t, "disk_full", target, jenner.Params{"leave": jenner.Raw("10")}, "is not a size")
}
