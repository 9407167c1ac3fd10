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

// Login is whom a fault's own connections come from: an application, as far as the server can tell. Superusers are not
// taken for that, so that a fault neither uses up what is kept free for them nor is spared by the remedies.
type Login struct {
	User         string `json:"user"`                    // must not be a superuser
	PasswordEnv  string `json:"password_env,omitempty"`  // the variable of the environment that holds the password
	PasswordFile string `json:"password_file,omitempty"` // or the file, in its first line
	Application  string `json:"application,omitempty"`   // application_name
}

func (l Login) validate() error {
	switch {
	case l.User == "":
		return errors.New("user is missing; write whom the connections come from")
	case l.PasswordEnv != "" && l.PasswordFile != "":
		return errors.New("password_env and password_file are both there; write one")
	case l.Application == "" || l.Application == ourName:
		return fmt.Errorf("application %q is none of an application's", l.Application)
	}
	return nil
}

// as is the target with the fault's own way in.
func (l Login) as(t *Target) *Target {
	other := *t
	other.User, other.PasswordEnv, other.PasswordFile = l.User, l.PasswordEnv, l.PasswordFile
	return &other
}

// clientGone lets a server notice within that time that the client of a running query is gone; else the query of a holder
// that was killed would go on to its end.
const clientGone = "500ms"

// connect opens one of the fault's connections.
func (l Login) connect(ctx context.Context, t *Target) (*pgx.Conn, error) {
	return l.as(t).open(ctx, l.User, map[string]string{"application_name": l.Application, "statement_timeout": "0",
		"client_connection_check_interval": clientGone})
}

// heldReport is what a holder of sessions tells.
type heldReport struct {
	Sessions []session `json:"sessions"`
	Text     string    `json:"text"` // what they do
}

// sessionsHeld is what the faults have in common that consist of sessions which a process keeps open.
type sessionsHeld struct{ chaos.HeldElsewhere }

// checkLogin refuses a user that the target does not know or that is a superuser, and gives what the target says of it.
func checkLogin(ctx context.Context, conn *pgx.Conn, user string) error {
	var super bool
	err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", user).Scan(&super)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return jenner.Permanent(fmt.Errorf("there is no user %q", user), "")
	case err == nil && super:
		return jenner.Permanent(fmt.Errorf("user %s is a superuser, which no application should be", user), "name the application's user")
	}
	return err
}

func reportOf(call chaos.Call) (report heldReport, known bool) {
	return report, len(call.Held.Report) > 0 && json.Unmarshal(call.Held.Report, &report) == nil
}

// stillThere gives the fault's sessions that the server still has. Where no server is, there is none.
func stillThere(ctx context.Context, call chaos.Call) (still []session, all int, err error) {
	report, _ := reportOf(call)
	if len(report.Sessions) == 0 {
		return nil, 0, nil
	}
	err = use(ctx, call.Record.Target, func(_ *Target, conn *pgx.Conn) error {
		still, err = alive(ctx, conn, report.Sessions)
		return err
	})
	if nobodyThere(err) {
		return nil, len(report.Sessions), nil
	}
	return still, len(report.Sessions), err
}

// Bite counts the fault's sessions that the server has.
func (sessionsHeld) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	report, _ := reportOf(call)
	still, all, err := stillThere(ctx, call)
	return chaos.Witness{Bit: len(still) > 0, Saw: fmt.Sprintf("%d of %d sessions %s", len(still), all, report.Text)}, err
}

// Armed tells whether the server still has some of the sessions: a remedy may have ended them all, and of a holder that was
// killed some may be left for a moment.
func (sessionsHeld) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	still, _, err := stillThere(ctx, call)
	return len(still) > 0, err
}

// Undo ends those sessions that the server has not noticed the end of yet: exactly those that the holder told of.
func (sessionsHeld) Undo(ctx context.Context, call chaos.Call) error {
	still, _, err := stillThere(ctx, call)
	if err != nil || len(still) == 0 {
		return err
	}
	return use(ctx, call.Record.Target, func(_ *Target, conn *pgx.Conn) error {
		for _, s := range still {
			if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2`,
				s.Pid, s.Start); err != nil {
				return err
			}
		}
		return until(ctx, conn, still, alive)
	})
}

// Fingerprint is how many of the fault's sessions there are.
func (sessionsHeld) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	still, _, err := stillThere(ctx, call)
	return fmt.Sprintf("%d sessions of the fault", len(still)), err
}

// opened is a session that a holder has open.
type opened struct {
	conn *pgx.Conn
	session
	busy chan struct{} // closed when the query ends that it runs; nil where it runs none
}

// openSession opens one of the fault's sessions and finds out how the server calls it.
func (l Login) openSession(ctx context.Context, t *Target) (*opened, error) {
	conn, err := l.connect(ctx, t)
	if err != nil {
		return nil, err
	}
	one := &opened{conn: conn, session: session{Pid: int(conn.PgConn().PID())}}
	err = conn.QueryRow(ctx, "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()").Scan(&one.Start)
	if err != nil {
		return nil, errors.Join(t.explain(err), conn.Close(ctx))
	}
	return one, nil
}

// closePatience is how long the end of a session may take that the server does not answer on.
const closePatience = time.Second

// holding opens sessions, lets each do what prepare says, tells of them, and closes them when ctx ends.
func (l Login) holding(ctx context.Context, call chaos.Call, count int, text string, tell func(any),
	prepare func(ctx context.Context, one *opened) error) error {
	t, err := decode(call.Record.Target)
	if err != nil {
		return err
	}
	var all []*opened
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		for _, one := range all {
			if one.busy != nil {
				<-one.busy
			}
			_ = one.conn.Close(closing) // one that a remedy ended is closed already
		}
	}()
	report := heldReport{Text: text}
	for number := range count {
		one, err := l.openSession(ctx, t)
		if err != nil {
			return fmt.Errorf("session %d of %d: %w", number+1, count, err)
		}
		all = append(all, one)
		report.Sessions = append(report.Sessions, one.session)
		if err := prepare(ctx, one); err != nil {
			return fmt.Errorf("session %d of %d: %w", number+1, count, t.explain(err))
		}
	}
	tell(report)
	<-ctx.Done()
	return nil
}
