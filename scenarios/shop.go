package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner/internal/lab"
)

// postgres starts a cluster and lets the documents know it as NAME.port, NAME.data, NAME.bin and NAME.user.
func (w *world) postgres(ctx context.Context, name string, opts lab.PostgresOptions) (*lab.Postgres, error) {
	opts.Name = name
	cluster, err := lab.StartPostgres(ctx, opts)
	if err != nil {
		return nil, err
	}
	w.ends(cluster.Remove)
	for key, value := range map[string]string{"port": fmt.Sprint(cluster.Port), "data": cluster.Data, "bin": cluster.Bin, "user": cluster.RunAs} {
		w.Values[name+"."+key] = value
	}
	return cluster, nil
}

// configure changes settings of a running cluster.
func (w *world) configure(ctx context.Context, name string, settings map[string]string) error {
	conn, err := pgx.Connect(ctx, w.url(name, "postgres", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for key, value := range settings {
		if _, err := conn.Exec(ctx, fmt.Sprintf("alter system set %s = '%s'", key, value)); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, "select pg_reload_conf()")
	return err
}

// shopUser makes the user that applications connect as, with a database of its own.
func (w *world) shopUser(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, w.url(name, "postgres", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range []string{"create role shop login", "create database shop owner shop"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) url(name, user, database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%s/%s?sslmode=disable", user, w.Values[name+".port"], database)
}

// checkout starts the application, as Jenner may start it again, and its customers.
func (w *world) checkout(ctx context.Context, name string, pool int) error {
	address, err := w.Address("checkout")
	if err != nil {
		return err
	}
	customers, err := w.Address("customers")
	if err != nil {
		return err
	}
	w.Values["checkout"] = strings.Join([]string{w.App, "checkout", "--database", w.url(name, "shop", "shop"), "--listen", address,
		"--pidfile", w.path("run", "checkout.pid"), "--flags", w.path("run", "flags.json"), "--pool", fmt.Sprint(pool)}, " ")
	if err := writeFile(w.path("run", "flags.json"), "{\"shed\": false}\n"); err != nil {
		return err
	}
	process, err := lab.Start(lab.Options{Dir: w.Dir, Path: w.path("run", "checkout.log")}, strings.Fields(w.Values["checkout"])...)
	if err != nil {
		return err
	}
	w.ends(func() error { return process.Stop(syscall.SIGKILL, time.Second) })
	w.pidfile("checkout.pid")
	if err := w.answers(ctx, "http://"+address+"/readyz"); err != nil {
		return err
	}
	if err := w.app("customers", "--url", "http://"+address, "--listen", customers); err != nil {
		return err
	}
	return w.answers(ctx, "http://"+customers+"/healthz")
}
