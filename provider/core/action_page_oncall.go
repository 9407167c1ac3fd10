package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("page_oncall", "Tell a human", func() act.Action { return &PageOncall{Severity: "high"} })
}

// PageOncall hands a message to the notifier of the incident's policy.
type PageOncall struct {
	// Severity is high or page, which wakes somebody, or low or ticket, which waits for the morning; high where not said.
	Severity string `json:"severity,omitempty"`
	// Message is what to say; that the runbook asks for a human, where not said.
	Message string `json:"message,omitempty"`
}

var severities = map[string]jenner.Severity{
	"high": jenner.SeverityPage, "page": jenner.SeverityPage,
	"low": jenner.SeverityTicket, "ticket": jenner.SeverityTicket,
}

// Validate checks the severity.
func (p *PageOncall) Validate() error {
	if _, known := severities[p.Severity]; !known {
		return fmt.Errorf("unknown severity %q; known: high, low, page, ticket", p.Severity)
	}
	return nil
}

// Do hands the message over.
func (p *PageOncall) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if err := p.Validate(); err != nil {
		return act.Result{}, jenner.Permanent(err, "")
	}
	if call.Host.Page == nil {
		return act.Result{}, jenner.ForHuman(errors.New("there is nobody to page"), "")
	}
	severity := severities[p.Severity]
	about := call.Subject.Name
	if about == "" {
		about = call.Service.Name
	}
	message := p.Message
	if message == "" {
		message = "the runbook asks for a human"
	}
	body := fmt.Sprintf("Incident %s, step %s of run %s.", call.Incident, call.Step, call.Run)
	if err := call.Host.Page(ctx, severity, about+": "+message, body); err != nil {
		return act.Result{}, jenner.Retryable(fmt.Errorf("nobody could be told: %w", err), "")
	}
	return act.Result{Summary: fmt.Sprintf("told a human (%s): %s", severity, message), Changed: true}, nil
}

// Happened says not done after a crash: a human who is told twice is better off than one who is not told.
func (*PageOncall) Happened(context.Context, act.Call) (act.Happened, error) {
	return act.HappenedNot, nil
}
