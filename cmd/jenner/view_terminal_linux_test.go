package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"
)

// openTerminal opens a pseudo-terminal of that size: the side that a person sits at, and the side a program writes to.
func openTerminal(t *testing.T, width, height uint16) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TERM", "xterm-256color")
	return person, program
}

// record reads what is written to the terminal until the program's side is closed.
func record(person io.Reader) (output func() string) {
	var all bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(&all, person) // ends with an error when the other side is closed
	}()
	return func() string { <-done; return all.String() }
}

func TestTerminalViewOnATerminal(t *testing.T) {
	person, program := openTerminal(t, 80, 24)
	view, ok := newView(program, io.Discard, false, false).(*terminalView)
	if !ok {
		t.Fatal("a terminal does not get the terminal view")
	}
	output := record(person)
	view.stage("learning what steady means")
	view.drill(drillIn(killed, "control", 1).drill, "control")
	var all sync.WaitGroup
	for i := range 8 { // commits come from many goroutines
		all.Go(func() {
			for j := range 25 {
				told := told(0, "checkout", "step", fmt.Sprintf("event %d/%d.", i, j), nil)
				told.change.Timeline[0].At = time.Now()
				view.entry(told.change)
			}
		})
	}
	all.Wait()
	view.close()
	fmt.Fprint(program, "the table")
	program.Close()

	got := output()
	if strings.Contains(got, "\x1b[?1049h") {
		t.Errorf("it draws on another screen: %q", got)
	}
	history := ansi.Strip(got[strings.LastIndex(got, "learning what steady means"):])
	for i := range 8 {
		for j := range 25 {
			if !strings.Contains(history, fmt.Sprintf("event %d/%d.", i, j)) {
				t.Fatalf("event %d/%d is not in what stays on the terminal: %q", i, j, history)
			}
		}
	}
	if shown, hidden := strings.LastIndex(got, "\x1b[?25h"), strings.LastIndex(got, "\x1b[?25l"); shown < hidden {
		t.Error("the cursor stays hidden")
	}
	if drawn := string(drawingOf([]byte(got))); drawn != got {
		t.Errorf("it does more than draw: %q", got)
	}
	if !strings.HasSuffix(got, "\r\n\r\nthe table") {
		t.Errorf("what follows does not begin on a line of its own: %q", got[len(got)-80:])
	}
}

func TestTheTerminalViewNeverBlocksItsCallers(t *testing.T) {
	person, program := openTerminal(t, 80, 24)
	full, err := unix.Open(program.Name(), unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil { // nobody reads from the terminal, so that it takes nothing more
		_, err = unix.Write(full, bytes.Repeat([]byte("."), 512))
	}
	unix.Close(full)
	view := newView(program, io.Discard, false, false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			view.stage("starting ledger")
			view.entry(told(1, "checkout", "step", "restarted", nil).change)
			view.drill(drillIn(killed, "control", 1).drill, "control")
		}
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the view waits for a terminal that nobody reads from")
	}
	output := record(person)
	view.close()
	program.Close()
	if got := strings.Count(ansi.Strip(output()), "checkout   step"); got < 200 {
		t.Errorf("%d lines stay, want all 200", got)
	}
}

func TestAnInterruptEndsTheDrawing(t *testing.T) {
	person, program := openTerminal(t, 80, 24)
	view := newView(program, io.Discard, false, false).(*terminalView)
	output := record(person)
	view.stage("starting ledger")
	view.signals <- os.Interrupt
	for deadline := time.Now().Add(2 * time.Minute); !view.screen.isMuted(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it draws on after an interrupt")
		}
	}
	fmt.Fprint(program, "jenner: interrupt: putting things in order\n") // as main.go does
	<-view.ended
	view.stage("ending the shop")
	view.entry(told(1, "checkout", "undo", "process.kill is gone", nil).change)
	view.close()
	program.Close()

	_, rest, found := strings.Cut(output(), "jenner: interrupt: putting things in order\r\n")
	if !found || strings.Contains(rest, "\x1b") {
		t.Errorf("something is drawn after the interrupt: %q", rest)
	}
	if !strings.Contains(rest, "ending the shop\r\n") || !strings.Contains(rest, "process.kill is gone\r\n") {
		t.Errorf("plain lines are missing after the interrupt: %q", rest)
	}
}

// A terminal may be slow to answer, or never answer at all, and a tmux may hang; `jenner stop` has to work all the same.
// What a package does when it is initialised, every command does.
func TestACommandAsksTheTerminalNothing(t *testing.T) {
	person, program := openTerminal(t, 80, 24)
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	tmux := []byte("#!/bin/sh\necho \"$@\" >>'" + asked + "'\n")
	self, err := os.Executable()
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "tmux"), tmux, 0o700),
		os.Symlink(self, filepath.Join(dir, "jenner"))); err != nil {
		t.Fatal(err)
	}
	output := record(person)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(dir, "jenner"), "version")
	command.Env = append(os.Environ(), "TERM=tmux-256color", "TMUX=/tmp/tmux-0/default,1,0", "COLORTERM=", "PATH="+dir+":"+os.Getenv("PATH"))
	command.Stdin, command.Stdout, command.Stderr = program, program, program
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // /dev/tty is that terminal, too
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	program.Close()
	if got := output(); !strings.HasPrefix(got, "jenner ") || strings.Contains(got, "\x1b") {
		t.Errorf("`jenner version` writes %q to a terminal; want one line of text", got)
	}
	if calls, err := os.ReadFile(asked); err == nil {
		t.Errorf("`jenner version` runs tmux %q", calls)
	}
}

func TestOnlyWhatDrawsReachesTheTerminal(t *testing.T) {
	for _, tc := range []struct{ name, frame, want string }{
		{"text and colours", "\r\x1b[38;5;160mübel 龍\x1b[m\n", "\r\x1b[38;5;160mübel 龍\x1b[m\n"},
		{"moving and erasing", "a\x1b[2A\x1b[5G\x1b[K\x1b[J\x1bM\x1b[H\x1b[2X\x1b[3b", "a\x1b[2A\x1b[5G\x1b[K\x1b[J\x1bM\x1b[H\x1b[2X\x1b[3b"},
		{"the cursor", "\x1b[?25la\x1b[?25h", "\x1b[?25la\x1b[?25h"},
		{"what the terminal can do", "a\x1b[?2026$p\x1b[?2027$pb", "ab"},
		{"who it is, where the cursor is", "a\x1b[c\x1b[>c\x1b[6n\x1b[?6nb", "ab"},
		{"the background", "a\x1b]11;?\x07b\x1b]11;?\x1b\\c", "abc"},
		{"keys by another protocol", "a\x1b[>4;2m\x1b[=1;1u\x1b[?u\x1b[>4mb", "ab"},
		{"other modes", "a\x1b[?1049h\x1b[?2004h\x1b[?1000hb", "ab"},
		{"the shape of the cursor", "a\x1b[1 qb", "ab"},
	} {
		if got := string(drawingOf([]byte(tc.frame))); got != tc.want {
			t.Errorf("%s: %q becomes %q, want %q", tc.name, tc.frame, got, tc.want)
		}
	}
}

func TestWhereThereArePlainLines(t *testing.T) {
	_, program := openTerminal(t, 80, 24)
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, tiny := openTerminal(t, leastWidth-1, 24)
	for _, tc := range []struct {
		name          string
		out           io.Writer
		asJSON, plain bool
		term          string
	}{
		{"--plain", program, false, true, "xterm"},
		{"--json", program, true, false, "xterm"},
		{"a dumb terminal", program, false, false, "dumb"},
		{"a terminal of unknown kind", program, false, false, ""},
		{"a file", file, false, false, "xterm"},
		{"a buffer", &bytes.Buffer{}, false, false, "xterm"},
		{"a tiny terminal", tiny, false, false, "xterm"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("TERM", tc.term)
			view := newView(tc.out, io.Discard, tc.asJSON, tc.plain)
			defer view.close()
			if _, ok := view.(*plainView); !ok {
				t.Errorf("it gets a %T", view)
			}
		})
	}
}
