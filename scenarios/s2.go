package main

import (
	"context"

	"github.com/jenner-heal/jenner/internal/lab"
)

func init() {
	postgres := need{program: "initdb", debian: "postgresql-15", folders: []string{"/usr/lib/postgresql/15/bin"}}
	for name, about := range map[string]string{
		"leak":    "an application leaks connections until none is left; those that idle in a transaction are ended, 15 % a pass, and it is restarted",
		"query":   "queries that do not end hold every connection; they are cancelled, and nothing is restarted",
		"peak":    "a traffic peak takes every connection; what can wait is shed, and nothing is ended or restarted",
		"default": "the same leak, with the times that hold where nobody writes any",
	} {
		build := buildS2
		if name == "default" {
			build = buildS2Default
		}
		scenarios = append(scenarios, scenario{id: "S2", name: name, about: about, files: "s2", experiment: name + ".yaml", rounds: 3,
			build: build, needs: []need{postgres}})
	}
}

// buildS2 asks often, so that the scenario is soon over.
func buildS2(ctx context.Context, w *world) error {
	w.Values["every"], w.Values["fast"], w.Values["pause"] = ", every: 500ms", ", every: 250ms", ", pause: 600ms"
	return buildPool(ctx, w)
}

// buildS2Default says nothing about how often anything is asked.
func buildS2Default(ctx context.Context, w *world) error {
	w.Values["every"], w.Values["fast"], w.Values["pause"] = "", "", ""
	return buildPool(ctx, w)
}

// buildPool starts a database with few connections, a checkout that needs them, and customers.
func buildPool(ctx context.Context, w *world) error {
	if _, err := w.postgres(ctx, "db", lab.PostgresOptions{Settings: map[string]string{"max_connections": "33"}}); err != nil {
		return err
	}
	if err := w.shopUser(ctx, "db"); err != nil {
		return err
	}
	return w.checkout(ctx, "db", 27)
}
