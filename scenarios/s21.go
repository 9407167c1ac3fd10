package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner/internal/lab"
)

func init() {
	scenarios = append(scenarios, scenario{id: "S21", name: "skew", files: "s21", rounds: 3, build: buildS21,
		about: "the clock of one replica goes wrong; it is found by comparing the replicas, and replaced"})
}

// buildS21 starts three replicas, as Jenner may start them again.
func buildS21(ctx context.Context, w *world) error {
	for i := range 3 {
		name := fmt.Sprintf("replica-%d", i+1)
		address, err := w.Address(name)
		if err != nil {
			return err
		}
		process, err := lab.Start(lab.Options{Dir: w.Dir, Path: w.path("run", name+".log")}, w.App, "replica", address, w.path("run", name+".pid"))
		if err != nil {
			return err
		}
		w.ends(func() error { return process.Stop(syscall.SIGKILL, time.Second) })
		w.pidfile(name + ".pid")
		if err := w.answers(ctx, "http://"+address+"/healthz"); err != nil {
			return err
		}
	}
	return nil
}
