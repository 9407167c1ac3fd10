package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("redis", "Does the server answer, and does a key hold what it should", func() telemetry.Probe { return &ProbeRedis{} })
}

// ProbeRedis asks a server for an answer to PING, and for a key where one is named.
type ProbeRedis struct {
	Target
	Key    string  `json:"key,omitempty"`    // must be there; any type, or a text where equals is said
	Equals *string `json:"equals,omitempty"` // what the key must hold
}

// Validate checks the parameters.
func (p *ProbeRedis) Validate() error {
	if p.Equals != nil && p.Key == "" {
		return errors.New("equals is there and key is missing; write the key that must hold it")
	}
	return p.Target.Validate()
}

// Probe asks once.
func (p *ProbeRedis) Probe(ctx context.Context, _ telemetry.ProbeCall) telemetry.Result {
	client, hangUp, err := p.dial(ctx)
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	defer hangUp()
	err = p.ask(ctx, client)
	if errors.Is(ctx.Err(), context.Canceled) {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: "the question was taken back"}
	}
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Failed, Message: err.Error()}
	}
	return telemetry.Result{Outcome: telemetry.OK}
}

func (p *ProbeRedis) ask(ctx context.Context, client *redis.Client) error {
	if err := client.Ping(ctx).Err(); err != nil || p.Key == "" {
		return err
	}
	if p.Equals == nil {
		n, err := client.Exists(ctx, p.Key).Result()
		if err == nil && n == 0 {
			err = fmt.Errorf("there is no key %s", p.Key)
		}
		return err
	}
	value, err := client.Get(ctx, p.Key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return fmt.Errorf("there is no key %s", p.Key)
	case err != nil:
		return err
	case value != *p.Equals:
		return fmt.Errorf("key %s holds %q, not %q", p.Key, shortened(value), *p.Equals)
	}
	return nil
}

// shortened keeps a message readable, whatever stands under the key.
func shortened(value string) string {
	if len(value) > 80 {
		return value[:80] + "…"
	}
	return value
}
