package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// Some promises are about processes, so the tests start this test binary again and give it one of these jobs.
const (
	childJob = "JENNER_SQLITE_CHILD"
	childDir = "JENNER_SQLITE_DIR"
	childTag = "JENNER_SQLITE_TAG"

	jobCommit   = "commit until killed"
	jobTwenty   = "commit twenty"
	jobLock     = "hold the lock until killed"
	jobFull     = "run into a full disk and out of it again"
	jobStranger = "open as a user without rights"
	jobFill     = "store some of everything and wait to be killed"
	jobReadOnly = "commit until the disk is read-only"
)

func child(job string) int {
	dir := os.Getenv(childDir)
	if job == jobStranger {
		return openAsStranger(dir)
	}
	store, err := sqlite.Open(dir, sqlite.Options{Lock: job == jobLock})
	if err == nil {
		switch job {
		case jobCommit:
			err = commitFromMany(store)
		case jobTwenty:
			_, err = commitVersions(store, os.Getenv(childTag), 20)
		case jobFull:
			err = fillDisk(store, dir)
		case jobLock:
			fmt.Println("locked")
			_, err = io.Copy(io.Discard, os.Stdin) // until killed
		case jobFill:
			err = fill(store)
			fmt.Println("filled", err)
			_, err = io.Copy(io.Discard, os.Stdin) // until killed
		case jobReadOnly:
			err = turnReadOnly(store, dir)
		}
		err = errors.Join(err, store.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// commitVersions commits versions of one record, each with one timeline and one audit entry, and tells every one that
// was acknowledged. It gives the last of them.
func commitVersions(store *sqlite.Store, id string, times int) (int64, error) {
	r := jenner.Record{Line: "incident", ID: id, Subject: "checkout"}
	before, err := store.Load(context.Background(), "incident", id)
	if err == nil {
		r = before
	}
	for range times {
		change := jenner.Change{Record: r, Timeline: []jenner.Entry{{Text: "step"}}, Audit: []jenner.AuditEntry{{Kind: "note", Subject: id}}}
		if err := store.Commit(context.Background(), change); err != nil {
			return r.Version, err
		}
		r.Version++
		fmt.Printf("%s %d\n", id, r.Version)
	}
	return r.Version, nil
}

func commitFromMany(store *sqlite.Store) error {
	errs := make([]error, 4)
	var all sync.WaitGroup
	for worker := range errs {
		all.Go(func() { _, errs[worker] = commitVersions(store, fmt.Sprint("of-", worker), 1_000_000) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// fillDisk lets no file of this process grow any further, as a full disk does, until a commit fails; then there is room
// again.
func fillDisk(store *sqlite.Store, dir string) error {
	signal.Ignore(syscall.SIGXFSZ) // without this the process would be killed, and not see an error
	reached, err := commitVersions(store, "a", 50)
	if err != nil {
		return err
	}
	log, err := os.Stat(filepath.Join(dir, sqlite.FileName+"-wal"))
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	room := limit
	limit.Cur = uint64(log.Size()) + 100_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	more, full := commitVersions(store, "a", 10_000)
	if full == nil || more == reached {
		return fmt.Errorf("the disk was never full, or at once: version %d, then %d, error %w", reached, more, full)
	}
	fmt.Println("error", full)
	kept, err := store.Load(context.Background(), "incident", "a")
	if err != nil || kept.Version != more {
		return fmt.Errorf("with a full disk version %d is read, and %d was acknowledged: %w", kept.Version, more, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &room); err != nil {
		return err
	}
	_, err = commitVersions(store, "a", 50)
	return err
}

// openAsStranger gives up the rights of root, for whom nothing is read-only, and opens the data directory.
func openAsStranger(dir string) int {
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			fmt.Println("giving up the rights of root:", err)
			return 1
		}
	}
	_, err := sqlite.Open(dir, sqlite.Options{})
	fmt.Println(err)
	return 0
}

// startChild starts a child that is killed with the test, if it still runs then.
func startChild(t *testing.T, job, dir, tag string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childJob+"="+job, childDir+"="+dir, childTag+"="+tag)
	command.Stderr = os.Stderr
	_, err := command.StdinPipe() // open for as long as the test lives
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command, bufio.NewScanner(out)
}

// versions reads what a child says was acknowledged, until it has said nothing more or enough lines came.
func versions(t *testing.T, from *bufio.Scanner, into map[string]int64, enough int) {
	t.Helper()
	for range enough {
		if !from.Scan() {
			return
		}
		var id string
		var version int64
		if _, err := fmt.Sscanf(from.Text(), "%s %d", &id, &version); err != nil {
			t.Fatalf("the child said %q", from.Text())
		}
		into[id] = max(into[id], version)
	}
}

const everything = 1 << 30

// wantAcknowledged checks that whatever was acknowledged is there, that each change is there whole, and that the audit
// log verifies.
func wantAcknowledged(t *testing.T, dir string, acknowledged map[string]int64) {
	t.Helper()
	store := open(t, dir, sqlite.Options{})
	var total int64
	for id, version := range acknowledged {
		r, err := store.Load(t.Context(), "incident", id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Version < version {
			t.Errorf("version %d of %s was acknowledged, and version %d is stored", version, id, r.Version)
		}
		entries, err := store.Timeline(t.Context(), "incident", id)
		if err != nil || int64(len(entries)) != r.Version {
			t.Errorf("%s has version %d and %d timeline entries (%v)", id, r.Version, len(entries), err)
		}
		total += r.Version
	}
	report, err := store.VerifyAudit(t.Context())
	if err != nil || report.Entries != total {
		t.Errorf("the audit log has %d entries for %d commits (%v)", report.Entries, total, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	acknowledged := map[string]int64{}
	for round := range 3 {
		command, out := startChild(t, jobCommit, dir, "")
		versions(t, out, acknowledged, 150+37*round)
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		versions(t, out, acknowledged, everything) // what it had said before it died
		if err := command.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		if len(acknowledged) != 4 {
			t.Fatalf("%d of 4 workers committed", len(acknowledged))
		}
		wantAcknowledged(t, dir, acknowledged)
	}
}

func TestProcessesWriteTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data") // none of them has made it yet
	acknowledged := map[string]int64{}
	var commands []*exec.Cmd
	var outs []*bufio.Scanner
	for _, tag := range []string{"a", "b", "c"} {
		command, out := startChild(t, jobTwenty, dir, tag)
		commands, outs = append(commands, command), append(outs, out)
	}
	for i, command := range commands {
		versions(t, outs[i], acknowledged, everything)
		if err := command.Wait(); err != nil {
			t.Errorf("a child failed: %v", err)
		}
	}
	if acknowledged["a"] != 20 || acknowledged["b"] != 20 || acknowledged["c"] != 20 {
		t.Errorf("acknowledged: %v", acknowledged)
	}
	wantAcknowledged(t, dir, acknowledged)
}

func TestFullDiskIsAnErrorAndLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	command, out := startChild(t, jobFull, dir, "")
	acknowledged, failure := map[string]int64{}, ""
	for out.Scan() {
		if text, is := strings.CutPrefix(out.Text(), "error "); is {
			failure = text
			continue
		}
		var version int64
		if _, err := fmt.Sscanf(out.Text(), "a %d", &version); err != nil {
			t.Fatalf("the child said %q", out.Text())
		}
		acknowledged["a"] = version
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("the child failed: %v", err)
	}
	for _, says := range []string{"committing incident a", dir, "room on the file system"} {
		if !strings.Contains(failure, says) {
			t.Errorf("the error does not say %q: %s", says, failure)
		}
	}
	wantAcknowledged(t, dir, acknowledged)
}

func TestDirectoryOfSomebodyElse(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"nobody may write": 0o555, "nobody may read": 0o000} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "data")
			if err := open(t, dir, sqlite.Options{}).Close(); err != nil {
				t.Fatal(err)
			}
			for path, mode := range map[string]os.FileMode{filepath.Dir(top): 0o755, top: 0o755, dir: mode} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
			command, out := startChild(t, jobStranger, dir, "")
			if !out.Scan() {
				t.Fatal("the child said nothing")
			}
			text := out.Text()
			if !strings.Contains(text, dir) || !strings.Contains(text, "let the user that runs jenner") {
				t.Errorf("the error does not name the directory, or not what to do: %s", text)
			}
			if err := command.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLockEndsWithItsProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	command, out := startChild(t, jobLock, dir, "")
	if !out.Scan() {
		t.Fatal("the child did not get the lock")
	}
	_, err := sqlite.Open(dir, sqlite.Options{Lock: true})
	if !errors.Is(err, jenner.ErrInUse) {
		t.Fatalf("a second process gets the lock, or another error: %v", err)
	}
	for _, says := range []string{fmt.Sprintf("pid %d since %d-", command.Process.Pid, time.Now().UTC().Year()), dir, "stop that process"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %q: %v", says, err)
		}
	}
	beside := open(t, dir, sqlite.Options{}) // who does not ask for the lock may work beside it
	if err := beside.PutValue(t.Context(), "k", []byte("v")); err != nil {
		t.Error(err)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // it was killed
	if err := open(t, dir, sqlite.Options{Lock: true}).Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, sqlite.Options{Lock: true})
}
