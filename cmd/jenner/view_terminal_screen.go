package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/charmbracelet/x/ansi"
)

// screen is the terminal that the frames go to. It lets through what draws and nothing else: bubbletea also asks the
// terminal what it can do, and switches the keyboard to another protocol. Nobody reads the answers, so that they would
// land in the shell, and under that protocol Ctrl-C is no interrupt any more.
type screen struct {
	tty *os.File
	fd  uintptr

	mu    sync.Mutex
	muted bool
}

// Write writes one frame, or nothing at all after mute. Control sequences are whole within a frame.
func (s *screen) Write(frame []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.muted {
		return len(frame), nil
	}
	if drawn := drawingOf(frame); len(drawn) > 0 {
		if _, err := s.tty.Write(drawn); err != nil {
			return 0, fmt.Errorf("cannot write to the terminal: %w", err)
		}
	}
	return len(frame), nil
}

// drawingOf is the frame without the control sequences that do anything else than draw.
func drawingOf(frame []byte) []byte {
	parser := ansi.GetParser()
	defer ansi.PutParser(parser)
	var drawn bytes.Buffer
	var state byte
	for len(frame) > 0 {
		parser.Reset()
		sequence, _, length, next := ansi.DecodeSequence(frame, state, parser)
		if draws(sequence, parser) {
			drawn.Write(sequence)
		}
		state, frame = next, frame[length:]
	}
	return drawn.Bytes()
}

// drawingCommands end the sequences that move the cursor, erase, scroll, insert and colour (ECMA-48, section 8.3).
const drawingCommands = "ABCDEFGHIJKLMPSTXZ@`abdefhlmr"

// draws tells whether text or a control sequence, just parsed, draws.
func draws(sequence []byte, parser *ansi.Parser) bool {
	if !ansi.HasCsiPrefix(sequence) {
		return sequence[0] != ansi.ESC || string(sequence) == ansi.ReverseIndex
	}
	command := ansi.Cmd(parser.Command())
	if command.Prefix() == '?' { // a mode of the terminal: is the cursor shown, does a full line wrap
		mode, _ := parser.Param(0, 0)
		return strings.IndexByte("hl", command.Final()) >= 0 && command.Intermediate() == 0 &&
			(mode == ansi.ModeTextCursorEnable.Mode() || mode == ansi.ModeAutoWrap.Mode())
	}
	return command.Prefix() == 0 && command.Intermediate() == 0 && strings.IndexByte(drawingCommands, command.Final()) >= 0
}

func (s *screen) mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = true
	// The echoed ^C makes room for the next plain line; the cursor rests on the last line of the frame, an empty one.
	s.tty.WriteString("\r")
}

func (s *screen) isMuted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.muted
}

// Fd lets bubbletea ask for the terminal's size, which it may still do when the view has been closed.
func (s *screen) Fd() uintptr { return s.fd }

// Read is never asked for: the view has no input.
func (s *screen) Read([]byte) (int, error) { return 0, io.EOF }

// Close leaves the terminal open for the table that follows.
func (s *screen) Close() error { return nil }
