package main

import (
	"context"

	"github.com/jenner-heal/jenner/internal/lab"
)

func init() {
	postgres := need{program: "initdb", debian: "postgresql-15", folders: []string{"/usr/lib/postgresql/15/bin"}}
	for name, about := range map[string]string{
		"leak":  "an application leaks connections until none is left; those that idle in a transaction are ended, 15 % a pass, and it is restarted",
		"query": "queries that do not end hold every connection; they are cancelled, and nothing is restarted",
		"peak":  "a traffic peak takes every connection; what can wait is shed, and nothing is ended or restarted",
	} {
		scenarios = append(scenarios, scenario{id: "S2", name: name, about: about, files: "s2", experiment: name + ".yaml", rounds: 3,
			build: buildS2, needs: []need{postgres}})
	}
}

// buildS2 starts a database with few connections, a checkout that needs them, and customers.
func buildS2(ctx context.Context, w *world) error {
	if _, err := w.postgres(ctx, "db", lab.PostgresOptions{Settings: map[string]string{"max_connections": "33"}}); err != nil {
		return err
	}
	if err := w.shopUser(ctx, "db"); err != nil {
		return err
	}
	return w.checkout(ctx, "db", 27)
}
