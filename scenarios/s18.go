package main

import (
	"context"

	"github.com/jenner-heal/jenner/internal/lab"
)

func init() {
	for name, about := range map[string]string{
		"blind":    "the database is down and nobody said that the application needs it: two restarts at most, then a page",
		"topology": "the database is down and it is known who needs it: the application is not restarted at all",
	} {
		scenarios = append(scenarios, scenario{id: "S18", name: name, about: about, files: "s18" + name, rounds: 3, build: buildS18,
			needs: []need{{program: "initdb", debian: "postgresql-15", folders: []string{"/usr/lib/postgresql/15/bin"}}}})
	}
}

// buildS18 starts a database and an application that is not ready without it.
func buildS18(ctx context.Context, w *world) error {
	if _, err := w.postgres(ctx, "db", lab.PostgresOptions{}); err != nil {
		return err
	}
	if err := w.shopUser(ctx, "db"); err != nil {
		return err
	}
	return w.checkout(ctx, "db", 10)
}
