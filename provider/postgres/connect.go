package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/jenner-heal/jenner"
)

// ourName is the application_name of every connection that watches or heals. Nothing here ever ends one of that name.
const ourName = "jenner"

// defaultPatience is how long a statement may take where the context has no end.
const defaultPatience = 30 * time.Second

// connect opens a connection of Jenner's own. Its statements end, also at the server, when ctx's time is over.
func (t *Target) connect(ctx context.Context) (*pgx.Conn, error) {
	return t.open(ctx, t.User, nil)
}

// open opens a connection as a user, with settings beside the usual ones.
func (t *Target) open(ctx context.Context, user string, settings map[string]string) (*pgx.Conn, error) {
	password, err := t.password()
	if err != nil {
		return nil, err
	}
	// Everything is said here, so that no PGHOST or PGPASSFILE of the environment has a say.
	words := []string{"host", t.Host, "port", strconv.Itoa(t.Port), "user", user, "database", t.Database, "sslmode", t.SSLMode,
		"passfile", "/dev/null", "password", password, "target_session_attrs", "any"}
	var dsn strings.Builder
	for i := 0; i < len(words); i += 2 {
		fmt.Fprintf(&dsn, "%s='%s' ", words[i], strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(words[i+1]))
	}
	config, err := pgx.ParseConfig(strings.TrimSpace(dsn.String()))
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("%s: cannot make sense of how to connect", t.ref), "") // err may hold the password
	}
	patience := defaultPatience
	if deadline, has := ctx.Deadline(); has {
		patience = max(time.Until(deadline), time.Millisecond)
	}
	config.ConnectTimeout = patience
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // no prepared statements, which some poolers do not know
	config.RuntimeParams = map[string]string{"application_name": ourName, "statement_timeout": strconv.FormatInt(patience.Milliseconds()+1, 10)}
	for name, value := range settings {
		config.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, t.explain(err)
	}
	return conn, nil
}

// explain says what happens after an error of the server or of the way to it.
func (t *Target) explain(err error) error {
	var told *jenner.Error
	if errors.As(err, &told) {
		return err
	}
	err = fmt.Errorf("%s: %w", t.ref, err)
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return jenner.Retryable(err, "") // nobody answered, or not in time
	}
	switch {
	case said.Code == "53300": // too_many_connections
		return jenner.Retryable(err, "let Jenner connect as a superuser, for whom some connections are kept free")
	case said.Code == "42501": // insufficient_privilege
		return jenner.Permanent(err, fmt.Sprintf("user %s needs the role pg_monitor to watch and pg_signal_backend to act, or be a superuser", t.User))
	case strings.HasPrefix(said.Code, "28"), strings.HasPrefix(said.Code, "3D"), strings.HasPrefix(said.Code, "42"):
		return jenner.Permanent(err, "") // it may not get in, or the statement is wrong
	}
	return jenner.Retryable(err, "")
}

// nobodyThere tells that the error means that no server is where the target says: its port or socket is closed. A server
// that does not answer in time is another thing, for nobody knows what it does.
func nobodyThere(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// with opens a connection for one use.
func (t *Target) with(ctx context.Context, use func(conn *pgx.Conn) error) error {
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := use(conn); err != nil {
		return t.explain(err)
	}
	return nil
}

// askPatience is how long a question to a cluster may take that is not the one at hand.
const askPatience = 2 * time.Second

// recovers tells whether the cluster follows another one, and so takes no writes.
func (t *Target) recovers(ctx context.Context) (recovers bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	err = t.with(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&recovers)
	})
	return recovers, err
}

// use decodes a target and opens a connection for one use.
func use(ctx context.Context, written jenner.Target, do func(t *Target, conn *pgx.Conn) error) error {
	t, err := decode(written)
	if err != nil {
		return err
	}
	return t.with(ctx, func(conn *pgx.Conn) error { return do(t, conn) })
}
