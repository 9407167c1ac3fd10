package core

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/jenner-heal/jenner/notify"
)

func init() {
	Provider.Notifier("terminal", "Write the message to standard error", func() notify.Notifier { return NewTerminal(os.Stderr) })
}

// NotifierTerminal writes each message as a few lines.
type NotifierTerminal struct {
	mu  sync.Mutex
	out io.Writer
}

// NewTerminal writes to out.
func NewTerminal(out io.Writer) *NotifierTerminal { return &NotifierTerminal{out: out} }

// Notify writes the message, its body indented below its title.
func (n *NotifierTerminal) Notify(_ context.Context, message notify.Message) error {
	text := fmt.Sprintf("%s %s: %s\n", message.At.Local().Format("15:04:05"), strings.ToUpper(string(message.Severity)), message.Title)
	for line := range strings.Lines(message.Body) {
		text += "    " + strings.TrimRight(line, "\n") + "\n"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := io.WriteString(n.out, text); err != nil {
		return fmt.Errorf("the terminal did not take the message: %w", err)
	}
	return nil
}
