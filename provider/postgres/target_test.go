package postgres

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
)

func TestTargetsAreChecked(t *testing.T) {
	for _, c := range []struct {
		params jenner.Params
		words  string
	}{
		{jenner.Params{"port": jenner.Raw(0)}, "port 0"},
		{jenner.Params{"password": jenner.Raw("secret")}, `unknown key "password"`},
		{jenner.Params{"sslmode": jenner.Raw("preferr")}, `did you mean "prefer"`},
		{jenner.Params{"password_env": jenner.Raw("A"), "password_file": jenner.Raw("b")}, "write one"},
		{jenner.Params{"bin": jenner.Raw("/usr/bin")}, "data directory"},
	} {
		_, err := decode(jenner.Target{Kind: "postgres", Name: "db", Params: c.params})
		says(t, err, c.words, "postgres/db")
	}
	_, err := decode(jenner.Target{Kind: "process", Name: "db"})
	says(t, err, "not of kind postgres")
}

// TestPasswordsComeFromWhereTheTargetSays asks a cluster that wants one, and looks that no error tells it.
func TestPasswordsComeFromWhereTheTargetSays(t *testing.T) {
	p := cluster(t, lab.PostgresOptions{Careless: true, Settings: map[string]string{"password_encryption": "scram-sha-256"}})
	const secret = `it's a\secret`
	run(t, p, "ALTER ROLE app PASSWORD '"+"it''s a\\secret"+"'")
	if err := os.WriteFile(filepath.Join(p.Data, "pg_hba.conf"), []byte("host all postgres all trust\nhost all all all scram-sha-256\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, p, "SELECT pg_reload_conf()")
	t.Setenv("SHOP_PASSWORD", secret)
	t.Setenv("PGPASSWORD", "wrong")
	t.Setenv("PGHOST", "nowhere.example")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(params jenner.Params) error {
		target := written(p, "db")
		target.Dir = dir
		target.Params["user"] = jenner.Raw("app")
		for name, value := range params {
			target.Params[name] = value
		}
		return use(within(t), target, func(_ *Target, conn *pgx.Conn) error { return conn.Ping(within(t)) })
	}
	await.True(t, "the server to ask for the password", func() bool { return in(nil) != nil })
	for name, params := range map[string]jenner.Params{"env": {"password_env": jenner.Raw("SHOP_PASSWORD")}, "file": {"password_file": jenner.Raw("password")}} {
		if err := in(params); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := in(jenner.Params{"password_file": jenner.Raw("none")})
	says(t, err, "password cannot be read")
	err = in(jenner.Params{"password_env": jenner.Raw("SHOP_PASSWORD"), "sslmode": jenner.Raw("disable"), "database": jenner.Raw("none")})
	says(t, err, `"none" does not exist`)
}

// TestConnectionsNameThemselvesAndEndWithTheirTime looks at the server's side.
func TestConnectionsNameThemselvesAndEndWithTheirTime(t *testing.T) {
	p := shared(t, primary)
	err := use(within(t), written(p, "db"), func(_ *Target, conn *pgx.Conn) error {
		var name, timeout string
		if err := conn.QueryRow(within(t), "SELECT current_setting('application_name'), current_setting('statement_timeout')").Scan(&name, &timeout); err != nil {
			return err
		}
		if name != "jenner" || timeout == "0" {
			t.Errorf("application_name %s, statement_timeout %s", name, timeout)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// A folder for a host means the socket in it.
	target := written(p, "db")
	target.Params["host"] = jenner.Raw(p.Dir)
	if err := use(within(t), target, func(_ *Target, conn *pgx.Conn) error { return conn.Ping(within(t)) }); err != nil {
		t.Error(err)
	}
	target.Params["port"] = jenner.Raw(1)
	if err := use(within(t), target, func(*Target, *pgx.Conn) error { return nil }); !nobodyThere(err) {
		t.Errorf("a socket that is not there: %v", err)
	}
}
