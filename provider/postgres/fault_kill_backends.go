package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("kill_backends", "Cut an application's connections", func() chaos.Fault { return &FaultKillBackends{} })
}

// FaultKillBackends ends all connections of an application, once or again and again. There is nothing to take back: the
// application may connect anew at any time.
type FaultKillBackends struct {
	chaos.HeldElsewhere
	// Application is the application_name.
	Application string `json:"application"`
	// Every is how often it is done while the fault lasts; once where not said.
	Every jenner.Duration `json:"every,omitempty"`
}

// Validate refuses Jenner itself and everybody.
func (f *FaultKillBackends) Validate() error {
	if f.Application == "" || f.Application == ourName {
		return fmt.Errorf("application %q is none of an application's", f.Application)
	}
	return nil
}

// cut is what the holder tells, and, with 0, the checkpoint.
type cut struct {
	Backends int `json:"backends"`
}

// Checkpoint refuses an application that has no connections.
func (f *FaultKillBackends) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	var found cut
	err := use(ctx, call.Record.Target, func(t *Target, conn *pgx.Conn) error {
		if err := t.maySignal(ctx, conn); err != nil {
			return err
		}
		err := conn.QueryRow(ctx, `SELECT count(*) `+ofApplication, f.Application).Scan(&found.Backends)
		if err == nil && found.Backends == 0 {
			err = jenner.Permanent(fmt.Errorf("%s: application %q has no connections", t.ref, f.Application), "")
		}
		return err
	})
	return jenner.Raw(found), err
}

const ofApplication = `FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name = $1 AND pid <> pg_backend_pid()`

// Hold cuts the connections, and where Every is said goes on with those that are made anew.
func (f *FaultKillBackends) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	total := cut{}
	for {
		ended, err := f.strike(ctx, call)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && total.Backends == 0:
			return err
		}
		total.Backends += ended
		tell(total)
		if f.Every == 0 {
			<-ctx.Done()
			return nil
		}
		next := time.NewTimer(f.Every.Std())
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-next.C:
		}
	}
}

func (f *FaultKillBackends) strike(ctx context.Context, call chaos.Call) (ended int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	err = use(ctx, call.Record.Target, func(_ *Target, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) AS did `+ofApplication+`) all_of WHERE did`,
			f.Application).Scan(&ended)
	})
	return ended, err
}

// Bite counts the connections that were cut.
func (f *FaultKillBackends) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	var told cut
	if len(call.Held.Report) > 0 {
		if err := json.Unmarshal(call.Held.Report, &told); err != nil {
			return chaos.Witness{}, errors.Join(errors.New("what the holder told cannot be read"), err)
		}
	}
	return chaos.Witness{Bit: told.Backends > 0, Saw: fmt.Sprintf("%d connections of %s were cut", told.Backends, f.Application)}, nil
}
