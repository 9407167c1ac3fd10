package main

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner/internal/lab"
)

func init() {
	scenarios = append(scenarios, scenario{id: "S1", name: "failover", files: "s1", worlds: 3, rounds: 3, build: buildS1, drill: []string{"--approve"},
		about: "the primary database is lost; after somebody agreed it is fenced, the standby is promoted and HAProxy moved to it",
		needs: []need{{program: "initdb", debian: "postgresql-15", folders: []string{"/usr/lib/postgresql/15/bin"}},
			{program: "haproxy", debian: lab.HAProxyDebian}}})
}

// buildS1 starts a primary, a standby that confirms every commit, an HAProxy before both, and an application behind it.
func buildS1(ctx context.Context, w *world) error {
	synchronous := map[string]string{"synchronous_standby_names": "standby", "synchronous_commit": "remote_apply"}
	primary, err := w.postgres(ctx, "primary", lab.PostgresOptions{})
	if err != nil {
		return err
	}
	if err := w.shopUser(ctx, "primary"); err != nil {
		return err
	}
	if _, err := w.postgres(ctx, "standby", lab.PostgresOptions{StandbyOf: primary}); err != nil {
		return err
	}
	if err := w.configure(ctx, "primary", synchronous); err != nil {
		return err
	}
	port, err := w.Port("front")
	if err != nil {
		return err
	}
	proxy, err := lab.StartHAProxy(ctx, w.path("run", "haproxy"), fmt.Sprintf(`
frontend front
    bind 127.0.0.1:%d
    default_backend db
backend db
    default-server check inter 200ms fall 2 rise 2 on-marked-down shutdown-sessions
    server primary 127.0.0.1:%s
    server standby 127.0.0.1:%s disabled
`, port, w.Values["primary.port"], w.Values["standby.port"]))
	if err != nil {
		return err
	}
	w.ends(proxy.Stop)
	w.Values["haproxy"], w.Values["front.port"] = proxy.Socket, fmt.Sprint(port)
	return w.checkout(ctx, "front", 5)
}
