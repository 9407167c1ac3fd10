package shop

import (
	"context"
	"flag"
	"os/signal"
	"syscall"
)

// declareInventory is the inventory: it reserves goods, of which there are always enough. With --ignore-term it is
// the process that somebody wrote without thinking of its end, and that only SIGKILL stops.
func declareInventory(fs *flag.FlagSet) func(*process) error {
	ignoreTerm := fs.Bool("ignore-term", false, "ignore SIGTERM; SIGINT and SIGKILL still stop it")
	return func(p *process) error {
		if *ignoreTerm {
			signal.Ignore(syscall.SIGTERM)
		}
		handlePost(p, "/reservations", func(_ context.Context, o order) (reservation, error) {
			if err := o.check(); err != nil {
				return reservation{}, refused(err)
			}
			return reservation{ID: o.ID}, nil
		})
		return nil
	}
}
