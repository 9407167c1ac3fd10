package netspace

import (
	"context"
	"time"
)

// The kernel's lease of rules under a process that holds them. It is much longer than the time between two renewals, so
// that a busy machine does not end a fault.
const (
	keptLease  = 4 * time.Second
	renewEvery = time.Second
)

// Hold makes the table and renews its lease until held ends: with ctx, or where the lease cannot be renewed, for the table
// is not there any more; that is its cause then. When this process dies the kernel ends the effect of the rules within
// 4s. release ends the renewing, and nothing is renewed any more when it returns; the table is for the caller to remove.
func (t Table) Hold(ctx context.Context, chains ...Chain) (held context.Context, release func(), err error) {
	if err := t.Make(time.Now().Add(keptLease), chains...); err != nil {
		return nil, nil, err
	}
	held, end := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end(t.keep(held))
	}()
	return held, func() { end(nil); <-ended }, nil
}

func (t Table) keep(ctx context.Context) error {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := t.Renew(time.Now().Add(keptLease)); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
