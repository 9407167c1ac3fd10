// Package nats watches the consumers of NATS JetStream, moves messages that they cannot digest to a dead-letter subject,
// and poisons queues on purpose.
//
// It is for messages in streams. It is not for running NATS servers, nor for publishing what a service has to say.
package nats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "nats", Doc: "Streams and consumers of NATS JetStream", Kinds: []string{"nats"}}

func decode(target jenner.Target) (*Target, error) {
	if target.Kind != "nats" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not of kind nats", target.Ref()), "")
	}
	t := &Target{}
	err := strict.Decode(target.Params, t)
	if err == nil {
		err = t.Validate()
	}
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	return t, nil
}

// dialPatience bounds the wait for a connection where the context has no end.
const dialPatience = 5 * time.Second

// open connects and finds the stream. Whoever called calls the function that it gives.
func (t *Target) open(ctx context.Context) (jetstream.JetStream, jetstream.Stream, func(), error) {
	options := []nats.Option{nats.Name("jenner"), nats.NoReconnect(), nats.Timeout(patience(ctx))}
	if t.CredentialsEnv != "" {
		file, there := os.LookupEnv(t.CredentialsEnv)
		if !there {
			return nil, nil, nil, jenner.Permanent(fmt.Errorf("variable %s, which is to name the credentials for %s, is not set",
				t.CredentialsEnv, t.URL), "")
		}
		options = append(options, nats.UserCredentials(file))
	}
	if ctx.Err() != nil {
		return nil, nil, nil, context.Cause(ctx)
	}
	conn, err := nats.Connect(t.URL, options...)
	if err != nil {
		return nil, nil, nil, jenner.Retryable(fmt.Errorf("cannot connect to %s: %w", t.URL, err), "is the server running?")
	}
	stop := context.AfterFunc(ctx, conn.Close)
	hangUp := func() { stop(); conn.Close() }
	js, err := jetstream.New(conn)
	if err == nil {
		var stream jetstream.Stream
		if stream, err = js.Stream(ctx, t.Stream); err == nil {
			return js, stream, hangUp, nil
		}
	}
	hangUp()
	return nil, nil, nil, answered(fmt.Errorf("stream %s at %s: %w", t.Stream, t.URL, err))
}

// with runs do on the stream of a target.
func with(ctx context.Context, target jenner.Target, do func(t *Target, js jetstream.JetStream, stream jetstream.Stream) error) error {
	t, err := decode(target)
	if err != nil {
		return err
	}
	js, stream, hangUp, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer hangUp()
	return do(t, js, stream)
}

func patience(ctx context.Context) time.Duration {
	if deadline, has := ctx.Deadline(); has {
		return max(time.Millisecond, min(dialPatience, time.Until(deadline)))
	}
	return dialPatience
}

// answered marks what the server itself answered: trying again will not change it. What did not reach it may.
func answered(err error) error {
	var api *jetstream.APIError
	var known jetstream.JetStreamError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api), errors.As(err, &known):
		return jenner.Permanent(err, "")
	}
	return jenner.Retryable(err, "is the server running?")
}

// firstUnacked is what a consumer chews on: the oldest message that was delivered and not acknowledged.
type firstUnacked struct {
	*jetstream.RawStreamMsg
	Deliveries int // of it alone, where Alone; else of all that are not acknowledged
	Alone      bool
}

// chewed finds the message that a consumer chews on; nil where there is none.
func chewed(ctx context.Context, stream jetstream.Stream, consumer string) (*firstUnacked, error) {
	if consumer == "" {
		return nil, jenner.Permanent(errors.New("the target names no consumer"), "write consumer: NAME")
	}
	found, err := stream.Consumer(ctx, consumer)
	if err != nil {
		return nil, answered(fmt.Errorf("consumer %s: %w", consumer, err))
	}
	info, err := found.Info(ctx)
	if err != nil || info.NumAckPending == 0 {
		return nil, answered(err)
	}
	for sequence := info.AckFloor.Stream + 1; sequence <= info.Delivered.Stream; sequence++ {
		message, err := stream.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // deleted, or of another subject
		}
		if err != nil {
			return nil, answered(err)
		}
		return &firstUnacked{message, int(info.Delivered.Consumer - info.AckFloor.Consumer), info.NumAckPending == 1}, nil
	}
	return nil, nil
}
