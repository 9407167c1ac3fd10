package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// entry is what stands under a key, in Redis' own form: any type, with the time at which it expires.
type entry struct {
	There   bool   `json:"there"`
	Dump    []byte `json:"dump,omitempty"`
	Expires int64  `json:"expires,omitempty"` // in milliseconds since 1970; 0: never
}

// read takes a copy of what stands under a key.
func read(ctx context.Context, client redis.Cmdable, key string) (entry, error) {
	dump, err := client.Dump(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		return entry{}, nil
	}
	if err != nil {
		return entry{}, refused(err)
	}
	expires, err := client.PExpireTime(ctx, key).Result()
	if err != nil {
		return entry{}, refused(fmt.Errorf("cannot tell when %s expires (Redis 7 or later can): %w", key, err))
	}
	found := entry{There: true, Dump: []byte(dump)}
	if at := expires.Milliseconds(); at > 0 {
		found.Expires = at
	}
	return found, nil
}

func (e entry) same(other entry) bool {
	return e.There == other.There && string(e.Dump) == string(other.Dump)
}

// expired tells whether the entry would be gone by now all by itself.
func (e entry) expired(now time.Time) bool { return e.Expires > 0 && now.UnixMilli() >= e.Expires }

// restore writes the commands that put the entry back under a key.
func (e entry) restore(ctx context.Context, pipe redis.Pipeliner, key string, now time.Time) {
	pipe.Del(ctx, key)
	if e.There && !e.expired(now) {
		args := []any{"RESTORE", key, e.Expires, e.Dump}
		if e.Expires > 0 {
			args = append(args, "ABSTTL")
		}
		pipe.Do(ctx, args...)
	}
}
