// Package notify tells people: it sends one page for one cause, with everything that was learned, to the channel that a
// policy names.
//
// It is for the Notifier interface and for choosing whom to tell. It is not for deciding when: the line does that.
package notify

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner"
)

// Notifier delivers messages. The type that fulfils it holds its settings in exported fields with `json` tags. It is
// safe for concurrent use.
type Notifier interface {
	// Notify delivers one message. The same Key delivered twice must not wake anybody twice, as far as the receiving
	// side can tell; the key is handed on for that.
	Notify(ctx context.Context, message Message) error
}

// Message is what a person is told.
type Message struct {
	Key      string          `json:"key"`
	At       time.Time       `json:"at"`
	Severity jenner.Severity `json:"severity"`
	Incident string          `json:"incident,omitempty"`
	Service  string          `json:"service,omitempty"`
	Title    string          `json:"title"`
	Body     string          `json:"body,omitempty"`
}
