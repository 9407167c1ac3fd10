package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/notify"
)

func init() {
	Provider.Notifier("file", "Append the message to a file, one JSON object a line", func() notify.Notifier { return &NotifierFile{} })
}

// NotifierFile appends each message to a file as one line of JSON, and returns when it is on the disk.
type NotifierFile struct {
	// Path is made where it is missing; its folder must be there. A relative path starts from the working directory.
	Path string `json:"path"`

	mu sync.Mutex
}

// Validate checks the path.
func (n *NotifierFile) Validate() error {
	if n.Path == "" {
		return errors.New("path is missing")
	}
	return nil
}

// Notify appends the message. Where that fails half-way, the half line is taken back.
func (n *NotifierFile) Notify(_ context.Context, message notify.Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	file, err := os.OpenFile(n.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return jenner.Retryable(fmt.Errorf("the message cannot be written: %w", err), "")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return jenner.Retryable(fmt.Errorf("the message cannot be written: %w", err), "")
	}
	_, err = file.Write(append(jenner.Raw(message), '\n'))
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		if info.Mode().IsRegular() {
			err = errors.Join(err, file.Truncate(info.Size()))
		}
		return jenner.Retryable(fmt.Errorf("the message cannot be written: %w", err), "")
	}
	return nil
}
