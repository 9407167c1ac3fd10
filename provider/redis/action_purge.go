package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("purge", "Delete keys of a cache", func() act.Action { return &Purge{Most: 1000} })
}

// Purge deletes the keys that a pattern matches, so that a cache is filled anew. Its unit for blast_radius is `keys`. What
// stood there is copied before, so that it can be put back where nobody has filled it meanwhile.
type Purge struct {
	Pattern string `json:"pattern"`        // as of SCAN: product:*; a name without * means that one key
	Most    int    `json:"most,omitempty"` // keys that may match at all; more refuse, for each one is copied
}

// purged is the checkpoint.
type purged struct {
	Keys map[string]entry `json:"keys"`
}

// Validate checks the parameters. Every key at once is no cache entry but the whole database.
func (p *Purge) Validate() error {
	switch {
	case p.Pattern == "":
		return errors.New("pattern is missing; write which keys are meant")
	case p.Pattern == "*":
		return errors.New("pattern * is the whole database; write which keys are meant")
	case p.Most < 1:
		return fmt.Errorf("most %d allows nothing", p.Most)
	}
	return nil
}

// Check refuses a pattern that matches nothing, or more than may be copied.
func (p *Purge) Check(ctx context.Context, call act.Call) error {
	return with(ctx, call.Target, func(ctx context.Context, client *redis.Client) error {
		keys, err := p.match(ctx, client)
		if err == nil && len(keys) == 0 {
			err = jenner.Permanent(fmt.Errorf("no key matches %s", p.Pattern), "")
		}
		return err
	})
}

// Size counts the keys that match, of all that the database holds.
func (p *Purge) Size(ctx context.Context, call act.Call) (size act.Size, err error) {
	err = with(ctx, call.Target, func(ctx context.Context, client *redis.Client) error {
		keys, err := p.match(ctx, client)
		if err != nil {
			return err
		}
		total, err := client.DBSize(ctx).Result()
		size = act.Size{Unit: "keys", Want: len(keys), Total: int(total)}
		return refused(err)
	})
	return size, err
}

// Checkpoint copies the keys that match.
func (p *Purge) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	was := purged{Keys: map[string]entry{}}
	err := with(ctx, call.Target, func(ctx context.Context, client *redis.Client) error {
		keys, err := p.match(ctx, client)
		if err != nil {
			return err
		}
		if allowed, limited := call.Allowed["keys"]; limited && len(keys) > allowed {
			keys = keys[:allowed]
		}
		for _, key := range keys {
			if was.Keys[key], err = read(ctx, client, key); err != nil {
				return err
			}
		}
		return nil
	})
	return jenner.Raw(was), err
}

// Fingerprint is a hash of the keys that match and of what stands under them.
func (p *Purge) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	sum := sha256.New()
	err := with(ctx, call.Target, func(ctx context.Context, client *redis.Client) error {
		keys, err := p.match(ctx, client)
		if err != nil {
			return err
		}
		for _, key := range keys {
			is, err := read(ctx, client, key)
			if err != nil {
				return err
			}
			fmt.Fprintf(sum, "%q %q\n", key, is.Dump)
		}
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}

// Happened tells whether the keys of the checkpoint are gone, or were filled anew since.
func (p *Purge) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	was, err := p.before(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	happened := act.HappenedDone
	err = with(ctx, call.Target, func(ctx context.Context, client *redis.Client) error {
		for key, old := range was.Keys {
			is, err := read(ctx, client, key)
			if err != nil {
				return err
			}
			if is.There && is.same(old) {
				happened = act.HappenedNot
			}
		}
		return nil
	})
	if err != nil {
		return act.HappenedUnknown, err
	}
	return happened, nil
}

// Do deletes the keys of the checkpoint, and no others that may have come to match since.
func (p *Purge) Do(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := p.before(call)
	if err != nil {
		return act.Result{}, err
	}
	var gone int64
	err = with(ctx, call.Target, func(ctx context.Context, client *redis.Client) error {
		for key := range was.Keys {
			n, err := client.Del(ctx, key).Result()
			if err != nil {
				return refused(err)
			}
			gone += n
		}
		return nil
	})
	return act.Result{Changed: gone > 0, Summary: fmt.Sprintf("%d keys deleted that match %s", gone, p.Pattern)}, err
}

// Undo puts back what is not there again.
func (p *Purge) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := p.before(call)
	if err != nil {
		return act.Result{}, err
	}
	back := 0
	err = with(ctx, call.Target, func(ctx context.Context, client *redis.Client) error {
		for key, old := range was.Keys {
			is, err := read(ctx, client, key)
			if err != nil {
				return err
			}
			if is.There || old.expired(time.Now()) {
				continue
			}
			if _, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				old.restore(ctx, pipe, key, time.Now())
				return nil
			}); err != nil {
				return refused(err)
			}
			back++
		}
		return nil
	})
	return act.Result{Changed: back > 0, Summary: fmt.Sprintf("%d keys put back", back)}, err
}

func (p *Purge) before(call act.Call) (was purged, err error) {
	if err := json.Unmarshal(call.Checkpoint, &was); err != nil {
		return was, jenner.ForHuman(fmt.Errorf("the checkpoint cannot be read: %w", err), "look at the keys by hand")
	}
	return was, nil
}

// match gives the keys, sorted; each once, however often SCAN gives it.
func (p *Purge) match(ctx context.Context, client *redis.Client) ([]string, error) {
	seen := map[string]bool{}
	for cursor := uint64(0); ; {
		page, next, err := client.Scan(ctx, cursor, p.Pattern, 500).Result()
		if err != nil {
			return nil, refused(err)
		}
		for _, key := range page {
			seen[key] = true
		}
		if len(seen) > p.Most {
			return nil, jenner.Permanent(fmt.Errorf("more than %d keys match %s", p.Most, p.Pattern), "raise most, or write a narrower pattern")
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	keys := make([]string, 0, len(seen))
	for key := range seen {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}
