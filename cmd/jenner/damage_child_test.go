package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/await"
)

// diskWord makes the test binary the keeper of a small disk of its own, in memory, on which a jenner keeps its state:
//
//	BINARY small-disk MEGABYTES DATA JENNER ARGS...
//
// It lives in namespaces of its own, so that the disk is there for it and its children alone and needs no root. It does
// what its input says, a word a line, and ends with its input.
const diskWord = "small-disk"

// What the keeper of a disk is told.
const (
	diskServe    = "serve"     // start jenner; its end is told as `ended CODE`
	diskStop     = "stop"      // Ctrl-C to jenner
	diskReadOnly = "read-only" // from now on nothing new can be made or opened for writing on the disk
	diskWritable = "writable"  // and now it can
)

// diskKeeper is the whole program.
func diskKeeper(args []string) int {
	size, data, argv := args[0], args[1], args[2:]
	if err := unix.Mount("jenner-test", data, "tmpfs", 0, "mode=700,size="+size+"m"); err != nil {
		fmt.Printf("cannot mount: %v\n", err)
		return exitNo
	}
	signal.Ignore(os.Interrupt) // a Ctrl-C at the terminal is for jenner
	fmt.Println("mounted")
	var jennerChild *exec.Cmd
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var err error
		switch lines.Text() {
		case diskServe:
			jennerChild, err = startReporting(argv)
		case diskStop:
			err = jennerChild.Process.Signal(os.Interrupt)
		case diskReadOnly:
			// Over itself: what jenner has open stays as it is.
			err = errors.Join(unix.Mount(data, data, "", unix.MS_BIND, ""), unix.Mount("", data, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		case diskWritable:
			err = unix.Unmount(data, unix.MNT_DETACH)
		default:
			err = fmt.Errorf("what is %q", lines.Text())
		}
		if err != nil {
			fmt.Printf("cannot %s: %v\n", lines.Text(), err)
		} else {
			fmt.Printf("%s: done\n", lines.Text())
		}
	}
	if jennerChild != nil {
		_ = jennerChild.Process.Kill()
	}
	return exitOK
}

// startReporting starts a program and says when and how it ended.
func startReporting(argv []string) (*exec.Cmd, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		fmt.Printf("ended %d\n", cmd.ProcessState.ExitCode())
	}()
	return cmd, nil
}

// smallDisk is a world whose state lies on a disk of its own.
type smallDisk struct {
	testWorld
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out lockedBuffer
}

// newSmallDisk makes the disk; nothing runs on it yet.
func newSmallDisk(t *testing.T, w testWorld, megabytes int) *smallDisk {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.data, 0o700); err != nil {
		t.Fatal(err)
	}
	d := &smallDisk{testWorld: w, t: t}
	d.cmd = exec.Command(self, diskWord, fmt.Sprint(megabytes), w.data,
		filepath.Join(w.files(), "jenner"), "serve", w.files(), "--data", w.data, "--listen", "127.0.0.1:0", "--baseline", "1s")
	d.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	in, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.in = in
	if err := d.cmd.Start(); err != nil {
		t.Fatalf("%v; does this machine forbid user namespaces (kernel.apparmor_restrict_unprivileged_userns)?", err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = d.cmd.Wait()
	})
	d.until("the disk is there", func() bool {
		if strings.Contains(d.out.String(), "cannot mount") {
			t.Fatalf("%s; does this machine forbid user namespaces (kernel.apparmor_restrict_unprivileged_userns)?", d.out.String())
		}
		return d.said("mounted")
	})
	return d
}

// tell makes the keeper do something and waits until it is done.
func (d *smallDisk) tell(word string) {
	d.t.Helper()
	before := strings.Count(d.out.String(), word+": done\n")
	if _, err := fmt.Fprintln(d.in, word); err != nil {
		d.t.Fatal(err)
	}
	d.until("the keeper of the disk did: "+word, func() bool { return strings.Count(d.out.String(), word+": done\n") > before })
}

func (d *smallDisk) said(text string) bool { return strings.Contains(d.out.String(), text) }

// until waits for a condition and shows what was said where it waits in vain.
func (d *smallDisk) until(what string, holds func() bool) {
	d.t.Helper()
	defer func() {
		if d.t.Failed() {
			d.t.Log(d.out.String())
		}
	}()
	await.True(d.t, what, holds)
}

var endedWith = regexp.MustCompile(`(?m)^ended (-?\d+)$`)

// ended waits for the end of jenner and gives its exit code.
func (d *smallDisk) ended() string {
	d.t.Helper()
	d.until("jenner has ended", func() bool { return endedWith.MatchString(d.out.String()) })
	return endedWith.FindStringSubmatch(d.out.String())[1]
}

// on is a place on the disk as it can be reached from outside of its namespace.
func (d *smallDisk) on(name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", d.cmd.Process.Pid), d.data, name)
}

// fill takes all the room that is left on the disk; the file can be removed again.
func (d *smallDisk) fill() (ballast string) {
	d.t.Helper()
	ballast = d.on("ballast")
	file, err := os.Create(ballast)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		d.t.Fatalf("the disk is not full but: %v", err)
	}
	return ballast
}

// copied is the world with a copy of what is on the disk as its state. Jenner must have ended.
func (d *smallDisk) copied() testWorld {
	d.t.Helper()
	w := d.testWorld
	w.data = d.t.TempDir()
	if err := os.CopyFS(w.data, os.DirFS(d.on("."))); err != nil {
		d.t.Fatal(err)
	}
	return w
}
