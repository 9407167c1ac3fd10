// Package redis asks Redis servers, purges keys of caches and poisons them on purpose.
//
// It is for single keys and for caches. It is not for running a Redis: its processes, replicas and failover belong to
// whoever starts them.
package redis

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "redis", Doc: "Redis servers and the keys in them", Kinds: []string{"redis"}}

// quiet keeps the library from writing to standard error: what went wrong is in the errors.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(quiet{}) }

// dial makes a client, which connects when it is first used, and whose calls end with ctx. Whoever called calls the
// function that it gives.
func (t *Target) dial(ctx context.Context) (*redis.Client, func(), error) {
	options := &redis.Options{Addr: t.Address, DB: t.Database, Username: t.User, ClientName: "jenner", DisableIdentity: true,
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1}
	if t.PasswordEnv != "" {
		password, there := os.LookupEnv(t.PasswordEnv)
		if !there {
			return nil, nil, jenner.Permanent(fmt.Errorf("variable %s, which is to hold the password of %s, is not set", t.PasswordEnv, t.Address), "")
		}
		options.Password = password
	}
	client := redis.NewClient(options)
	stop := context.AfterFunc(ctx, func() { client.Close() }) // a read under way heeds nothing else
	return client, func() { stop(); client.Close() }, nil
}

// with runs do on a client of the target.
func with(ctx context.Context, target jenner.Target, do func(ctx context.Context, client *redis.Client) error) error {
	if target.Kind != "redis" {
		return jenner.Permanent(fmt.Errorf("target %s is not of kind redis", target.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(target.Params, t); err != nil {
		return jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	if err := t.Validate(); err != nil {
		return jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	client, hangUp, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer hangUp()
	if err := do(ctx, client); err != nil {
		return fmt.Errorf("redis %s: %w", t.Address, err)
	}
	return nil
}

// refused marks what the server itself answered: trying again will not change it. What did not reach it may.
func refused(err error) error {
	if err == nil {
		return nil
	}
	var answered redis.Error
	if errors.As(err, &answered) {
		return jenner.Permanent(err, "")
	}
	return jenner.Retryable(err, "is the server running?")
}
