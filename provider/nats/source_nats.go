package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Source("nats", "How far a JetStream consumer has come", func() telemetry.Source { return &SourceNats{} })
}

// SourceNats gives the numbers of one consumer, with the labels stream and consumer: nats_stream_messages,
// nats_consumer_pending (not delivered yet), nats_consumer_ack_pending (delivered and not acknowledged),
// nats_consumer_attempts (deliveries since the last message that was acknowledged in order: where one message at a time
// is delivered, how often the present one was) and nats_consumer_acknowledged (how many were, in order).
type SourceNats struct {
	Target
}

// Validate checks what can be checked without asking the server.
func (s *SourceNats) Validate() error {
	if s.Consumer == "" {
		return errors.New("consumer is missing; write the durable name")
	}
	return s.Target.Validate()
}

// Instance is the server's address.
func (s *SourceNats) Instance(telemetry.SourceCall) (string, error) {
	_, address, found := strings.Cut(s.URL, "://")
	if !found {
		return "", fmt.Errorf("url %q is not one such as nats://host:port", s.URL)
	}
	return address, nil
}

// Collect asks once.
func (s *SourceNats) Collect(ctx context.Context, _ telemetry.SourceCall) ([]telemetry.Sample, error) {
	_, stream, hangUp, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	consumer, err := stream.Consumer(ctx, s.Consumer)
	if err != nil {
		return nil, answered(fmt.Errorf("consumer %s: %w", s.Consumer, err))
	}
	return s.samples(stream.CachedInfo(), consumer.CachedInfo()), nil
}

func (s *SourceNats) samples(stream *jetstream.StreamInfo, consumer *jetstream.ConsumerInfo) []telemetry.Sample {
	labels := map[string]string{"stream": s.Stream, "consumer": s.Consumer}
	var samples []telemetry.Sample
	for name, value := range map[string]float64{
		"nats_stream_messages":       float64(stream.State.Msgs),
		"nats_consumer_pending":      float64(consumer.NumPending),
		"nats_consumer_ack_pending":  float64(consumer.NumAckPending),
		"nats_consumer_attempts":     float64(consumer.Delivered.Consumer - consumer.AckFloor.Consumer),
		"nats_consumer_acknowledged": float64(consumer.AckFloor.Consumer),
	} {
		samples = append(samples, telemetry.Sample{Name: name, Labels: labels, Value: value})
	}
	return samples
}
