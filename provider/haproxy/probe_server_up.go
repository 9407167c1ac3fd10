package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("server_up", "Are the servers of a backend up, as HAProxy sees them?", func() telemetry.Probe { return &ProbeServerUp{} })
}

// ProbeServerUp asks HAProxy how the servers of a backend are. With a server, that one must take new sessions. Without,
// every server must be up that nobody has put in drain or maint, and one at least must take new sessions. Where Jenner
// has no right to ask, the answer is Unknown.
type ProbeServerUp struct {
	// Target is the name of the service's target; the only one of kind haproxy where not said.
	Target string `json:"target,omitempty"`
	// Server is the name of one server; all of the backend where not said.
	Server string `json:"server,omitempty"`
}

// Validate checks the parameters.
func (p *ProbeServerUp) Validate() error {
	if p.Server != "" && !isWord(p.Server) {
		return fmt.Errorf("server %q is no name of a server", p.Server)
	}
	return nil
}

// Probe asks once.
func (p *ProbeServerUp) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	t, err := named(call.Service, p.Target)
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	rows, all, err := t.both(ctx)
	if errors.Is(err, os.ErrPermission) {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	if err == nil {
		err = p.judge(t, rows, all)
	}
	return telemetry.ResultOf(ctx, err)
}

// both asks for the states and for what the checks said.
func (t *Target) both(ctx context.Context) (map[string]row, []server, error) {
	all, err := t.servers(ctx)
	if err != nil {
		return nil, nil, err
	}
	rows, err := t.stats(ctx)
	byName := map[string]row{}
	for _, one := range rows {
		byName[one["svname"]] = one
	}
	return byName, all, err
}

func (p *ProbeServerUp) judge(t *Target, rows map[string]row, all []server) error {
	if p.Server != "" {
		one, err := t.server(all, p.Server)
		if err == nil && !one.serves() {
			err = errors.New(told(one, rows[one.Name]))
		}
		return err
	}
	var down []string
	serving := 0
	for _, one := range all {
		switch {
		case one.serves():
			serving++
		case one.State == stateReady && one.Follows == "":
			down = append(down, told(one, rows[one.Name]))
		}
	}
	if serving == 0 {
		down = append(down, fmt.Sprintf("none of the %d servers of backend %s takes new sessions", len(all), t.Backend))
	}
	if len(down) == 0 {
		return nil
	}
	return errors.New(strings.Join(down, "; "))
}

// told is how a server that does not serve is, with what its check said.
func told(one server, stat row) string {
	text := fmt.Sprintf("server %s is %s", one.Name, stat["status"])
	for _, column := range []string{"check_desc", "last_chk"} {
		if stat[column] != "" && one.State == stateReady {
			text += ", " + stat[column]
		}
	}
	return text
}
