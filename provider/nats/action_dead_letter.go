package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("dead_letter", "Move the message that a consumer chews on to the dead letters", func() act.Action { return &DeadLetter{Deliveries: 3} })
}

// DeadLetter moves the oldest message that was delivered often and never acknowledged to the target's dead-letter
// subject, whole, with headers that say where it came from. It moves one message, and only where no other one waits for
// its acknowledgement, for else nobody could tell which of them it is. It has no undo: nothing is lost, and a message
// that ends its consumer is not put back without somebody who looks at it.
type DeadLetter struct {
	Deliveries int `json:"deliveries,omitempty"` // the message must have been delivered at least so often; 3 where not said
}

// letter is the checkpoint: the message that is meant.
type letter struct {
	Sequence   uint64 `json:"sequence"`
	Subject    string `json:"subject"`
	Deliveries int    `json:"deliveries"`
	Dead       uint64 `json:"dead"` // the last sequence of the dead letters before
}

// Validate checks the parameters.
func (d *DeadLetter) Validate() error {
	if d.Deliveries < 2 {
		return fmt.Errorf("deliveries %d: a message that was delivered once is not poisoned; write 2 or more", d.Deliveries)
	}
	return nil
}

// Check finds the message, and where it would go.
func (d *DeadLetter) Check(ctx context.Context, call act.Call) error {
	_, err := d.Checkpoint(ctx, call)
	return err
}

// Checkpoint names the message.
func (d *DeadLetter) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	var was letter
	err := with(ctx, call.Target, func(t *Target, js jetstream.JetStream, stream jetstream.Stream) error {
		if t.DeadLetter == "" {
			return jenner.Permanent(errors.New("the target names no subject for dead letters"), "write dead_letter: SUBJECT")
		}
		dead, err := t.deadLetters(ctx, js)
		if err != nil {
			return err
		}
		message, err := chewed(ctx, stream, t.Consumer)
		switch {
		case err != nil:
			return err
		case message == nil:
			return jenner.Permanent(fmt.Errorf("consumer %s chews on no message", t.Consumer), "")
		case !message.Alone:
			return jenner.Permanent(fmt.Errorf("several messages wait to be acknowledged by %s, so nobody can tell which one is poisoned", t.Consumer),
				"give the consumer max_ack_pending 1")
		case message.Deliveries < d.Deliveries:
			return jenner.Permanent(fmt.Errorf("message %d was delivered %d times, and %d are needed", message.Sequence, message.Deliveries,
				d.Deliveries), "")
		}
		was = letter{Sequence: message.Sequence, Subject: message.Subject, Deliveries: message.Deliveries}
		was.Dead, err = last(ctx, dead)
		return err
	})
	return jenner.Raw(was), err
}

// Happened looks for the message in the stream and for its letter among the dead ones. Where both are there the copy was
// made and the rest was not: doing it again makes no second copy.
func (d *DeadLetter) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	was, err := d.before(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	happened := act.HappenedNot
	err = with(ctx, call.Target, func(t *Target, js jetstream.JetStream, stream jetstream.Stream) error {
		_, err := stream.GetMsg(ctx, was.Sequence)
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return answered(err)
		}
		copied, err := d.copied(ctx, t, js, was, call.Key)
		happened = act.HappenedUnknown // it is gone, and not by us
		if copied {
			happened = act.HappenedDone
		}
		return err
	})
	if err != nil {
		return act.HappenedUnknown, err
	}
	return happened, nil
}

// Do copies the message, then deletes it.
func (d *DeadLetter) Do(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := d.before(call)
	if err != nil {
		return act.Result{}, err
	}
	err = with(ctx, call.Target, func(t *Target, js jetstream.JetStream, stream jetstream.Stream) error {
		message, err := stream.GetMsg(ctx, was.Sequence)
		if err != nil {
			return answered(fmt.Errorf("message %d: %w", was.Sequence, err))
		}
		copied, err := d.copied(ctx, t, js, was, call.Key)
		if err == nil && !copied {
			_, err = js.PublishMsg(ctx, dead(t, message, was), jetstream.WithMsgID(call.Key))
		}
		if err != nil {
			return answered(err)
		}
		return answered(stream.DeleteMsg(ctx, was.Sequence))
	})
	if err != nil {
		return act.Result{}, err
	}
	return act.Result{Changed: true, Output: was, Summary: fmt.Sprintf("message %d (%s), delivered %d times, is among the dead letters",
		was.Sequence, was.Subject, was.Deliveries)}, nil
}

// Fingerprint is which message the consumer chews on.
func (d *DeadLetter) Fingerprint(ctx context.Context, call act.Call) (print string, err error) {
	err = with(ctx, call.Target, func(t *Target, _ jetstream.JetStream, stream jetstream.Stream) error {
		message, err := chewed(ctx, stream, t.Consumer)
		if message != nil {
			print = strconv.FormatUint(message.Sequence, 10)
		}
		return err
	})
	return print, err
}

func (d *DeadLetter) before(call act.Call) (was letter, err error) {
	if err := json.Unmarshal(call.Checkpoint, &was); err != nil || was.Sequence == 0 {
		return was, jenner.ForHuman(fmt.Errorf("the checkpoint cannot be read: %w", errors.Join(err)), "look at the stream by hand")
	}
	return was, nil
}

func (d *DeadLetter) copied(ctx context.Context, t *Target, js jetstream.JetStream, was letter, key string) (copied bool, err error) {
	letters, err := t.deadLetters(ctx, js)
	if err != nil {
		return false, err
	}
	err = eachSince(ctx, letters, was.Dead, key, func(*jetstream.RawStreamMsg) error { copied = true; return nil })
	return copied, err
}

// dead is the letter that a message becomes.
func dead(t *Target, message *jetstream.RawStreamMsg, was letter) *nats.Msg {
	letter := nats.NewMsg(t.DeadLetter)
	letter.Data = message.Data
	for name, values := range message.Header {
		if !strings.HasPrefix(name, "Nats-") { // those tell the server what to do with the message, not what it is
			letter.Header[name] = values
		}
	}
	if id := message.Header.Get(nats.MsgIdHdr); id != "" {
		letter.Header.Set(originalID, id)
	}
	letter.Header.Set("Original-Stream", t.Stream)
	letter.Header.Set("Original-Subject", message.Subject)
	letter.Header.Set("Original-Sequence", strconv.FormatUint(message.Sequence, 10))
	letter.Header.Set("Deliveries", strconv.Itoa(was.Deliveries))
	return letter
}
