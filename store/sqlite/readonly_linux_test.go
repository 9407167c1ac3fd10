package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// turnReadOnly commits, lets the kernel answer every write to the open files of the data directory with EROFS from then
// on, as it does when it finds the file system broken, and commits again.
func turnReadOnly(store *sqlite.Store, dir string) error {
	reached, err := commitVersions(store, "a", 50)
	if err != nil {
		return err
	}
	files, err := openFiles(dir)
	if err != nil {
		return err
	}
	if err := refuseWrites(files); err != nil {
		return fmt.Errorf("the kernel does not let this test refuse writes (seccomp): %w", err)
	}
	for range 3 {
		_, broken := commitVersions(store, "a", 1)
		if broken == nil {
			return errors.New("a change was acknowledged that cannot be on disk")
		}
		fmt.Println("error", jenner.NextAfter(broken), broken)
	}
	kept, err := store.Load(context.Background(), "incident", "a")
	if err != nil || kept.Version != reached {
		return fmt.Errorf("version %d is read, and %d was acknowledged: %w", kept.Version, reached, err)
	}
	if _, err := store.VerifyAudit(context.Background()); err != nil {
		return err
	}
	_ = store.Close() // it cannot write either
	os.Exit(0)
	return nil
}

// openFiles are the descriptors of this process's files below dir.
func openFiles(dir string) (files []uint32, err error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		var number uint32
		name, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name()))
		if _, bad := fmt.Sscan(entry.Name(), &number); bad != nil || err != nil {
			continue // it was the directory that is being read
		}
		if strings.HasPrefix(name, dir+"/") {
			files = append(files, number)
		}
	}
	if len(files) < 2 {
		return nil, fmt.Errorf("only %d open files of %s were found", len(files), dir)
	}
	return files, nil
}

// refuseWrites installs a filter in the kernel, for all threads of this process and for ever: writing to one of the files
// fails with EROFS.
func refuseWrites(files []uint32) error {
	const number, firstArgument = 0, 16 // in struct seccomp_data
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(value uint32, ifEqual, otherwise int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jt: uint8(ifEqual), Jf: uint8(otherwise)}
	}
	give := func(what uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what} }
	calls := []uint32{unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_PWRITEV, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FTRUNCATE}

	program := []unix.SockFilter{load(number)}
	for i, call := range calls {
		program = append(program, jump(call, len(calls)-i, 0)) // over the rest and the line that allows
	}
	program = append(program, give(unix.SECCOMP_RET_ALLOW), load(firstArgument))
	for i, file := range files {
		program = append(program, jump(file, len(files)-i, 0))
	}
	program = append(program, give(unix.SECCOMP_RET_ALLOW), give(unix.SECCOMP_RET_ERRNO|uint32(unix.EROFS)))

	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	whole := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&whole)))
	if failed != 0 {
		return failed
	}
	return nil
}

func TestDiskThatBecomesReadOnlyLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	command, out := startChild(t, jobReadOnly, dir, "")
	acknowledged, failures := map[string]int64{}, 0
	for out.Scan() {
		if text, is := strings.CutPrefix(out.Text(), "error "); is {
			failures++
			for _, says := range []string{string(jenner.TellHuman), "committing incident a", dir, "read-only"} {
				if !strings.Contains(text, says) {
					t.Errorf("the error does not say %q: %s", says, text)
				}
			}
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
	if failures != 3 || acknowledged["a"] != 50 {
		t.Errorf("%d changes failed and version %d was acknowledged", failures, acknowledged["a"])
	}
	wantAcknowledged(t, dir, acknowledged) // once it can be written again
}
