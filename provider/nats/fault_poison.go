package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("poison", "Put a message into a stream that its consumer cannot digest", func() chaos.Fault { return &FaultPoison{} })
}

// FaultPoison publishes one message. It is known again by its message id, the id of the fault, and by nothing else. The
// server keeps no lease: whoever owns the record deletes it, from the stream and from the stream of the dead letters.
type FaultPoison struct {
	Subject string            `json:"subject"`
	Body    string            `json:"body"`              // what the consumer cannot digest
	Headers map[string]string `json:"headers,omitempty"` // of the message
}

// poisoned is the checkpoint: after which sequences the message can stand.
type poisoned struct {
	Stream uint64 `json:"stream"`
	Dead   uint64 `json:"dead"`
}

// Validate checks the parameters.
func (f *FaultPoison) Validate() error {
	if f.Subject == "" {
		return errors.New("subject is missing; write the subject that the consumer reads")
	}
	return nil
}

// Checkpoint keeps the last sequences. It refuses a subject that the stream does not keep.
func (f *FaultPoison) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	var was poisoned
	err := with(ctx, call.Record.Target, func(t *Target, js jetstream.JetStream, stream jetstream.Stream) error {
		keeper, err := js.StreamNameBySubject(ctx, f.Subject)
		if err != nil || keeper != t.Stream {
			return jenner.Permanent(fmt.Errorf("stream %s does not keep subject %s: %w", t.Stream, f.Subject, errors.Join(err)), "")
		}
		if was.Stream, err = last(ctx, stream); err != nil {
			return err
		}
		dead, err := t.deadLetters(ctx, js)
		if err != nil || dead == nil {
			return err
		}
		was.Dead, err = last(ctx, dead)
		return err
	})
	return jenner.Raw(was), err
}

func last(ctx context.Context, stream jetstream.Stream) (uint64, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, answered(err)
	}
	return info.State.LastSeq, nil
}

// deadLetters is the stream that keeps the dead letters; nil where the target names no subject for them.
func (t *Target) deadLetters(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	if t.DeadLetter == "" {
		return nil, nil
	}
	name, err := js.StreamNameBySubject(ctx, t.DeadLetter)
	if err != nil {
		return nil, answered(fmt.Errorf("no stream keeps the dead letters of %s: %w", t.DeadLetter, err))
	}
	stream, err := js.Stream(ctx, name)
	return stream, answered(err)
}

// Fingerprint is where the fault's message stands, if anywhere.
func (f *FaultPoison) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	print := "clean"
	err := f.each(ctx, call, func(where string, _ jetstream.Stream, _ *jetstream.RawStreamMsg) error {
		print = "poisoned: " + where
		return nil
	})
	return print, err
}

// Inject publishes the message. The server drops it where it has seen its id already.
func (f *FaultPoison) Inject(ctx context.Context, call chaos.Call) error {
	return with(ctx, call.Record.Target, func(t *Target, js jetstream.JetStream, _ jetstream.Stream) error {
		message := nats.NewMsg(f.Subject)
		message.Data = []byte(f.Body)
		for name, value := range f.Headers {
			message.Header.Set(name, value)
		}
		_, err := js.PublishMsg(ctx, message, jetstream.WithMsgID(call.Record.ID), jetstream.WithExpectStream(t.Stream))
		return answered(err)
	})
}

// Bite sees the message in the stream, and that it was delivered where the target names a consumer.
func (f *FaultPoison) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	witness := chaos.Witness{Saw: "the message is not in the stream"}
	err := f.each(ctx, call, func(where string, stream jetstream.Stream, message *jetstream.RawStreamMsg) error {
		t, err := decode(call.Record.Target)
		if err != nil || where != t.Stream {
			return err
		}
		if t.Consumer == "" {
			witness = chaos.Witness{Bit: true, Saw: fmt.Sprintf("message %d of stream %s is the poisoned one", message.Sequence, where)}
			return nil
		}
		consumer, err := stream.Consumer(ctx, t.Consumer)
		if err != nil {
			return answered(err)
		}
		info, err := consumer.Info(ctx)
		if err != nil {
			return answered(err)
		}
		witness = chaos.Witness{Bit: info.Delivered.Stream >= message.Sequence && info.AckFloor.Stream < message.Sequence,
			Saw: fmt.Sprintf("message %d is the poisoned one; %s was given messages up to %d and acknowledged up to %d", message.Sequence,
				t.Consumer, info.Delivered.Stream, info.AckFloor.Stream)}
		return nil
	})
	return witness, err
}

// Armed tells whether the message is still in the stream.
func (f *FaultPoison) Armed(ctx context.Context, call chaos.Call) (armed bool, err error) {
	t, err := decode(call.Record.Target)
	if err != nil {
		return false, err
	}
	err = f.each(ctx, call, func(where string, _ jetstream.Stream, _ *jetstream.RawStreamMsg) error {
		armed = armed || where == t.Stream
		return nil
	})
	return armed, err
}

// Undo deletes the message wherever it stands.
func (f *FaultPoison) Undo(ctx context.Context, call chaos.Call) error {
	return f.each(ctx, call, func(_ string, stream jetstream.Stream, message *jetstream.RawStreamMsg) error {
		err := stream.DeleteMsg(ctx, message.Sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return nil // somebody was faster
		}
		return answered(err)
	})
}

// each finds the fault's message in the stream and among the dead letters.
func (f *FaultPoison) each(ctx context.Context, call chaos.Call, do func(where string, stream jetstream.Stream, message *jetstream.RawStreamMsg) error) error {
	var was poisoned
	if len(call.Record.Checkpoint) == 0 {
		return nil // not injected yet
	}
	if err := json.Unmarshal(call.Record.Checkpoint, &was); err != nil {
		return jenner.ForHuman(fmt.Errorf("the checkpoint cannot be read: %w", err), "delete message "+call.Record.ID+" by hand")
	}
	return with(ctx, call.Record.Target, func(t *Target, js jetstream.JetStream, stream jetstream.Stream) error {
		err := eachSince(ctx, stream, was.Stream, call.Record.ID, func(message *jetstream.RawStreamMsg) error {
			return do(t.Stream, stream, message)
		})
		if err != nil {
			return err
		}
		dead, err := t.deadLetters(ctx, js)
		if err != nil || dead == nil {
			return err
		}
		return eachSince(ctx, dead, was.Dead, call.Record.ID, func(message *jetstream.RawStreamMsg) error {
			return do("dead letters", dead, message)
		})
	})
}

// originalID is the header of a dead letter that holds the id of the message it was.
const originalID = "Original-Msg-Id"

// eachSince walks the messages after a sequence and gives those that have an id, or had it before they became dead
// letters.
func eachSince(ctx context.Context, stream jetstream.Stream, after uint64, id string, do func(*jetstream.RawStreamMsg) error) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return answered(err)
	}
	for sequence := max(after+1, info.State.FirstSeq); sequence <= info.State.LastSeq; sequence++ {
		message, err := stream.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return answered(err)
		}
		if message.Header.Get(nats.MsgIdHdr) == id || message.Header.Get(originalID) == id {
			if err := do(message); err != nil {
				return err
			}
		}
	}
	return nil
}
