package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// patience is how long one notifier may take. The others do not wait for it.
	patience = 15 * time.Second
	// remembered is how many deliveries are remembered so that none is made twice.
	remembered = 10000
)

// Router hands messages to the channel that was asked for, and always to the fallbacks. It is safe for concurrent use.
type Router struct {
	build    func(jenner.Channel) (Notifier, error)
	fallback []Notifier
	log      *slog.Logger

	mu       sync.Mutex
	channels map[string]Notifier
	told     map[delivery]struct{}
	order    []delivery      // of told, the oldest first
	deaf     map[string]bool // channels that could not show how incidents stand
}

// delivery is one message for one recipient.
type delivery struct{ key, recipient string }

type recipient struct {
	name     string
	notifier Notifier
}

// NewRouter makes a router without channels. build makes the notifier of a written channel; the fallbacks are told
// everything. A nil logger means slog.Default().
func NewRouter(build func(jenner.Channel) (Notifier, error), fallback []Notifier, logger *slog.Logger) *Router {
	if logger == nil {
		logger = slog.Default()
	}
	return &Router{
		build: build, fallback: fallback, log: logger,
		channels: map[string]Notifier{}, told: map[delivery]struct{}{},
	}
}

// Set replaces the channels. Where one of them cannot be built, or two have one name, all are refused and the present
// ones stay; the error names every mistake.
func (r *Router) Set(channels []jenner.Channel) error {
	built := map[string]Notifier{}
	var mistakes []error
	for _, channel := range channels {
		if _, taken := built[channel.Name]; taken {
			mistakes = append(mistakes, at(channel, errors.New("another channel has the same name; rename one")))
			continue
		}
		notifier, err := r.build(channel)
		if err != nil {
			mistakes = append(mistakes, at(channel, err))
		}
		built[channel.Name] = notifier
	}
	if len(mistakes) > 0 {
		return errors.Join(mistakes...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.channels = built
	return nil
}

func at(channel jenner.Channel, err error) error {
	if channel.Source.File == "" {
		return fmt.Errorf("channel %s: %w", channel.Name, err)
	}
	return fmt.Errorf("%s:%d: channel %s: %w", channel.Source.File, channel.Source.Line, channel.Name, err)
}

// Notify tells the named channel and all fallbacks, all at once, and waits for them: until each answered, 15 s at most,
// or until ctx ends. An empty channel means the fallbacks alone; an unknown one too, with an error that says so.
//
// A message with a Key is delivered to each recipient once, as far back as memory reaches (10,000 deliveries, since the
// start); a delivery that failed is not remembered, so that trying again reaches those who do not know yet. The error
// joins what went wrong and may be tried again, unless it was only that the channel is unknown.
func (r *Router) Notify(ctx context.Context, channel string, message Message) error {
	recipients, unknown := r.recipients(channel)
	answers := make([]<-chan error, len(recipients))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, one := range recipients {
		answers[i] = r.deliver(ctx, one, message)
	}
	var failed []error
	for i, one := range recipients {
		if err := r.await(ctx, one, message, answers[i]); err != nil {
			r.log.Error("notify: a message was not delivered", "recipient", one.name, "title", message.Title, "error", err)
			failed = append(failed, fmt.Errorf("%s was not told: %w", one.name, err))
		}
	}
	switch {
	case len(failed) > 0:
		return jenner.Retryable(errors.Join(append(failed, unknown)...), "those who were told are not told again")
	case unknown != nil:
		return jenner.Permanent(unknown, "write a channel of that name, or correct the policy's escalation_channel")
	}
	return nil
}

func (r *Router) recipients(channel string) (list []recipient, unknown error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if notifier, known := r.channels[channel]; known {
		list = append(list, recipient{"channel " + channel, notifier})
	} else if channel != "" {
		names := make([]string, 0, len(r.channels))
		for name := range r.channels {
			names = append(names, name)
		}
		sort.Strings(names)
		unknown = fmt.Errorf("there is no channel %q (there are: %s), only the fallbacks were told",
			channel, strings.Join(append(names, "the fallbacks"), ", "))
	}
	for i, notifier := range r.fallback {
		list = append(list, recipient{fmt.Sprintf("fallback %d", i+1), notifier})
	}
	return list, unknown
}

// deliver begins one delivery. The answer is nil at once where the recipient knows the message already.
func (r *Router) deliver(ctx context.Context, to recipient, message Message) <-chan error {
	answer := make(chan error, 1) // a notifier that answers too late must not be stuck for ever
	if !r.remember(delivery{message.Key, to.name}) {
		answer <- nil
		return answer
	}
	go func() { answer <- to.notifier.Notify(ctx, message) }()
	return answer
}

func (r *Router) await(ctx context.Context, to recipient, message Message, answer <-chan error) error {
	var err error
	select {
	case err = <-answer:
	case <-ctx.Done():
		select {
		case err = <-answer: // it came at the last moment
		default:
			err = fmt.Errorf("it did not answer in time: %w", context.Cause(ctx))
		}
	}
	if err != nil {
		r.forget(delivery{message.Key, to.name})
	}
	return err
}

// remember takes note of a delivery; false where it is known already. It is taken note of before it is made, so that
// two that are asked for at the same time become one.
func (r *Router) remember(one delivery) bool {
	if one.key == "" {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.told[one]; known {
		return false
	}
	r.told[one] = struct{}{}
	r.order = append(r.order, one)
	for len(r.order) > remembered {
		delete(r.told, r.order[0])
		r.order = r.order[1:]
	}
	return true
}

func (r *Router) forget(one delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.told, one)
	r.order = slices.DeleteFunc(r.order, func(other delivery) bool { return other == one })
}
