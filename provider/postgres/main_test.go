package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
)

// started are the clusters that several tests use; they end with the test program.
var started struct {
	mu       sync.Mutex
	clusters []*lab.Postgres
}

func TestMain(m *testing.M) {
	all := catalog.Merge(Provider)
	if faulttest.Programs(all.MakeFault) {
		return
	}
	code := m.Run()
	for _, p := range started.clusters {
		if err := p.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// primary is a cluster that tests share which leave it as it was, with a database shop that belongs to the user app.
var primary = sync.OnceValues(func() (*lab.Postgres, error) { return keep(lab.PostgresOptions{Name: "shared", Careless: true}) })

// standby follows it, for those that change its replay.
var standby = sync.OnceValues(func() (*lab.Postgres, error) {
	from, err := primary()
	if err != nil {
		return nil, err
	}
	return keep(lab.PostgresOptions{Name: "follower", StandbyOf: from})
})

func keep(opts lab.PostgresOptions) (*lab.Postgres, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := lab.StartPostgres(ctx, opts)
	if err != nil {
		return nil, err
	}
	started.mu.Lock()
	started.clusters = append(started.clusters, p)
	started.mu.Unlock()
	if opts.StandbyOf != nil {
		return p, nil
	}
	return p, shop(ctx, p)
}

// shop makes the application's user, database and table.
func shop(ctx context.Context, p *lab.Postgres) error {
	for _, part := range []struct{ database, statement string }{
		{"postgres", "CREATE ROLE app LOGIN"}, {"postgres", "CREATE DATABASE shop OWNER app"},
		{"shop", "SET ROLE app; CREATE TABLE orders (id int PRIMARY KEY, state text, price numeric(10,2)); INSERT INTO orders VALUES (1, 'paid', 9.5), (2, NULL, 3)"},
	} {
		conn, err := pgx.Connect(ctx, dsn(p, "postgres", part.database, ourName))
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, part.statement, pgx.QueryExecModeSimpleProtocol)
		if err := errors.Join(err, conn.Close(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func dsn(p *lab.Postgres, user, database, application string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s application_name=%s sslmode=disable", p.Port, user, database, application)
}

// cluster is one of the test's own.
func cluster(t *testing.T, opts lab.PostgresOptions) *lab.Postgres {
	t.Helper()
	p, err := lab.StartPostgres(within(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Remove(); err != nil {
			t.Error(err)
		}
	})
	if opts.StandbyOf == nil {
		if err := shop(within(t), p); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Patience)
	t.Cleanup(cancel)
	return ctx
}

// shared gives a cluster that several tests use, once nobody but Jenner is connected.
func shared(t *testing.T, which func() (*lab.Postgres, error)) *lab.Postgres {
	t.Helper()
	p, err := which()
	if err != nil {
		t.Fatal(err)
	}
	await.True(t, "all others have left", func() bool {
		return ask(t, p, "SELECT count(*)::text FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'jenner'") == "0"
	})
	return p
}

// written is the cluster as a document names it.
func written(p *lab.Postgres, name string) jenner.Target {
	return jenner.Target{Kind: "postgres", Name: name, Params: jenner.Params{"port": jenner.Raw(p.Port), "database": jenner.Raw("shop"),
		"data": jenner.Raw(p.Data), "bin": jenner.Raw(p.Bin), "run_as": jenner.Raw(p.RunAs), "sslmode": jenner.Raw("disable")}}
}

// absent is a target that nobody serves.
func absent(t *testing.T) jenner.Target {
	t.Helper()
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return jenner.Target{Kind: "postgres", Name: "absent", Params: jenner.Params{"port": jenner.Raw(port), "data": jenner.Raw(t.TempDir() + "/none"),
		"run_as": jenner.Raw("nobody"), "bin": jenner.Raw("/usr/lib/postgresql/15/bin")}}
}

// client connects as the application.
func client(t *testing.T, p *lab.Postgres, application string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(within(t), dsn(p, "app", "shop", application))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// busy connects as the application and runs a query that does not end by itself. It gives a function that tells whether it
// has ended.
func busy(t *testing.T, p *lab.Postgres, application string) (ended func() bool) {
	t.Helper()
	conn := client(t, p, application)
	ended = asking(t, conn, "SELECT pg_sleep(600)")
	await.True(t, "the query runs", func() bool {
		return ask(t, p, fmt.Sprintf("SELECT state FROM pg_stat_activity WHERE pid = %d", conn.PgConn().PID())) == "active"
	})
	return ended
}

// asking lets a connection ask something in the background until it is answered or the test ends.
func asking(t *testing.T, conn *pgx.Conn, query string) (ended func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = conn.Exec(ctx, query)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// ask asks the cluster as its superuser, in the database of the application, and gives the first column as text.
func ask(t *testing.T, p *lab.Postgres, query string) string {
	t.Helper()
	text, err := tryAsk(within(t), p, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

func tryAsk(ctx context.Context, p *lab.Postgres, query string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn(p, "postgres", "shop", ourName))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var text *string
	err = conn.QueryRow(ctx, query, pgx.QueryExecModeSimpleProtocol).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && text == nil {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return *text, nil
}

// run runs a statement as the superuser in the database of the application.
func run(t *testing.T, p *lab.Postgres, statement string) {
	t.Helper()
	conn, err := pgx.Connect(within(t), dsn(p, "postgres", "shop", ourName))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(within(t), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}

// says fails the test where the error does not hold all of the words.
func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}
