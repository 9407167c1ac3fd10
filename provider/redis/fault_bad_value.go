package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("bad_value", "Put a wrong value under a key, as a broken writer would", func() chaos.Fault { return &FaultBadValue{} })
}

// FaultBadValue replaces what stands under a key, whatever its type, with a text; its time to live stays. The server
// keeps no lease: whoever owns the record puts the old value back, type and expiry included, but only where the fault's
// own value still stands there. What somebody else has written or deleted meanwhile is theirs.
type FaultBadValue struct {
	Key   string `json:"key"`
	Value string `json:"value"` // the wrong value
}

// Validate checks the parameters.
func (f *FaultBadValue) Validate() error {
	if f.Key == "" {
		return errors.New("key is missing; a fault without a key would mean every key")
	}
	return nil
}

// Checkpoint copies what stands under the key. It refuses a key that is not there and one that has this value already.
func (f *FaultBadValue) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	var was entry
	err := with(ctx, call.Record.Target, func(ctx context.Context, client *redis.Client) (err error) {
		if was, err = read(ctx, client, f.Key); err != nil {
			return err
		}
		if !was.There {
			return jenner.Permanent(fmt.Errorf("there is no key %s", f.Key), "write one that the service uses")
		}
		bad, err := f.holds(ctx, client)
		if err == nil && bad {
			err = jenner.Permanent(fmt.Errorf("key %s has that value already", f.Key), "write another value")
		}
		return err
	})
	return jenner.Raw(was), err
}

// Fingerprint is whether the fault's value stands under the key. What others put there in its place is not the fault's.
func (f *FaultBadValue) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	armed, err := f.Armed(ctx, call)
	if armed {
		return "poisoned", err
	}
	return "clean", err
}

// Inject writes the wrong value where the old one still stands.
func (f *FaultBadValue) Inject(ctx context.Context, call chaos.Call) error {
	var was entry
	if err := json.Unmarshal(call.Record.Checkpoint, &was); err != nil {
		return jenner.Permanent(fmt.Errorf("the checkpoint of %s cannot be read: %w", f.Key, err), "")
	}
	return f.swap(ctx, call, func(ctx context.Context, tx *redis.Tx) (bool, error) {
		is, err := read(ctx, tx, f.Key)
		if err == nil && !is.same(was) {
			err = jenner.Retryable(fmt.Errorf("key %s was changed since it was copied", f.Key), "")
		}
		return err == nil, err
	}, func(pipe redis.Pipeliner) { pipe.Set(ctx, f.Key, f.Value, redis.KeepTTL) })
}

// Bite sees the wrong value under the key.
func (f *FaultBadValue) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return chaos.Witness{Saw: "key " + f.Key + " does not hold the wrong value"}, err
	}
	return chaos.Witness{Bit: true, Saw: "key " + f.Key + " holds the wrong value"}, nil
}

// Armed tells whether the wrong value stands under the key.
func (f *FaultBadValue) Armed(ctx context.Context, call chaos.Call) (armed bool, err error) {
	err = with(ctx, call.Record.Target, func(ctx context.Context, client *redis.Client) error {
		armed, err = f.holds(ctx, client)
		return err
	})
	return armed, err
}

// Undo puts the old value back where the wrong one still stands.
func (f *FaultBadValue) Undo(ctx context.Context, call chaos.Call) error {
	var was entry
	if err := json.Unmarshal(call.Record.Checkpoint, &was); err != nil {
		return jenner.ForHuman(fmt.Errorf("the checkpoint of %s cannot be read: %w", f.Key, err), "set the key right by hand")
	}
	return f.swap(ctx, call, func(ctx context.Context, tx *redis.Tx) (bool, error) {
		return f.holds(ctx, tx)
	}, func(pipe redis.Pipeliner) { was.restore(ctx, pipe, f.Key, time.Now()) })
}

// swap changes the key in one transaction, where may says so and nobody changes it in between.
func (f *FaultBadValue) swap(ctx context.Context, call chaos.Call, may func(ctx context.Context, tx *redis.Tx) (bool, error),
	change func(pipe redis.Pipeliner)) error {
	return with(ctx, call.Record.Target, func(ctx context.Context, client *redis.Client) error {
		err := client.Watch(ctx, func(tx *redis.Tx) error {
			yes, err := may(ctx, tx)
			if err != nil || !yes {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error { change(pipe); return nil })
			return err
		}, f.Key)
		if errors.Is(err, redis.TxFailedErr) {
			return jenner.Retryable(fmt.Errorf("key %s was changed at the same moment", f.Key), "")
		}
		return err
	})
}

func (f *FaultBadValue) holds(ctx context.Context, client redis.Cmdable) (bool, error) {
	kind, err := client.Type(ctx, f.Key).Result()
	if err != nil || kind != "string" {
		return false, refused(err)
	}
	value, err := client.Get(ctx, f.Key).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return value == f.Value, refused(err)
}
