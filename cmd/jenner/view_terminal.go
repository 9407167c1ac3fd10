package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// The smallest terminal in columns and rows that the view makes sense on. A smaller one gets plain lines.
const (
	leastWidth  = 48
	leastHeight = 14
)

// terminalView draws the demo in place, on the lines below the prompt: progress, drills, timeline. At the end the
// drawing gives way to the whole timeline, so that all that happened can be scrolled back to.
//
// Its methods may be called concurrently and never wait for the terminal, except close, which waits until everything
// is on it. Ctrl-C stays with the program: at an interrupt the drawing stops as it stands, and plain lines follow.
type terminalView struct {
	screen  *screen
	program *tea.Program
	stop    context.CancelFunc // ends the drawing as it stands
	start   time.Time
	signals chan os.Signal
	wake    chan struct{}
	ended   chan struct{} // closed when the program draws no more

	mu      sync.Mutex
	waiting []tea.Msg  // not yet handed to the program, the oldest first
	plain   *plainView // what has taken over, where the drawing ended early
}

// terminalOf is the file's size in columns and rows where it is a terminal that the view can draw on.
func terminalOf(out io.Writer) (file *os.File, width, height int, ok bool) {
	file, ok = out.(*os.File)
	if term := os.Getenv("TERM"); !ok || term == "" || term == "dumb" {
		return nil, 0, 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || int(size.Col) < leastWidth || int(size.Row) < leastHeight {
		return nil, 0, 0, false
	}
	return file, int(size.Col), int(size.Row), true
}

func newTerminalView(file *os.File, width, height int, drills []string) *terminalView {
	now := time.Now()
	v := &terminalView{screen: &screen{tty: file, fd: file.Fd()}, start: now, signals: make(chan os.Signal, 1),
		wake: make(chan struct{}, 1), ended: make(chan struct{})}
	profile := colourProfile()
	model := newTerminalModel(paletteFor(profile), drills, now).sized(width, height)
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	// Neither signals nor the standard input are the view's: Ctrl-C must reach the handler in main.go. Told the colours,
	// bubbletea runs no "tmux info" to find out about them.
	v.program = tea.NewProgram(model, tea.WithContext(ctx), tea.WithOutput(v.screen), tea.WithInput(nil),
		tea.WithoutSignalHandler(), tea.WithColorProfile(profile), tea.WithFPS(20))
	signal.Notify(v.signals, os.Interrupt, syscall.SIGTERM) // beside main.go, which gets them too
	go v.run()
	go v.feed()
	go v.watch()
	return v
}

func (v *terminalView) stage(text string) {
	if plain := v.post(stageMsg{at: time.Now(), text: text}); plain != nil {
		plain.stage(text)
	}
}

func (v *terminalView) drill(drill jenner.Drill, phase jenner.Phase) {
	if plain := v.post(drillMsg{at: time.Now(), drill: drill, phase: phase}); plain != nil {
		plain.drill(drill, phase)
	}
}

func (v *terminalView) entry(change jenner.Change) {
	if plain := v.post(entryMsg{change}); plain != nil {
		plain.entry(change)
	}
}

// close waits until the last line is on the terminal. The terminal is as it was before.
func (v *terminalView) close() {
	v.post(closeMsg{at: time.Now()})
	<-v.ended
}

// post puts a message in the queue. Where plain lines have taken over, it returns what writes them instead.
func (v *terminalView) post(msg tea.Msg) *plainView {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.plain == nil {
		v.waiting = append(v.waiting, msg)
		select {
		case v.wake <- struct{}{}:
		default: // it is awake already
		}
	}
	return v.plain
}

// feed hands the queue to the program. Send waits for the program, which waits for the terminal; the callers of the
// view must not.
func (v *terminalView) feed() {
	for {
		select {
		case <-v.wake:
		case <-v.ended:
			return
		}
		v.mu.Lock()
		batch := v.waiting
		v.waiting = nil
		v.mu.Unlock()
		for _, msg := range batch {
			v.program.Send(msg)
		}
	}
}

// run draws until the view is closed, or until the drawing ends early.
func (v *terminalView) run() {
	defer close(v.ended)
	defer signal.Stop(v.signals)
	defer v.stop()
	model, err := v.program.Run()
	final, whole := model.(terminalModel)
	if whole && final.closed {
		io.WriteString(v.screen, final.history())
		return
	}
	if plain := v.lines(); err != nil && !v.screen.isMuted() {
		plain.stage(fmt.Sprintf("the view of the terminal ended, plain lines follow: %v", err))
	}
}

// lines lets plain lines take over.
func (v *terminalView) lines() *plainView {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.plain == nil {
		v.plain = &plainView{out: v.screen.tty, start: v.start}
		v.waiting = nil
	}
	return v.plain
}

// watch ends the drawing at an interrupt. main.go answers one with a line on the standard error, which moves the
// cursor: a frame drawn after that would land in the wrong place.
func (v *terminalView) watch() {
	select {
	case <-v.signals:
		v.screen.mute()
		v.lines()
		v.stop()
	case <-v.ended:
	}
}
