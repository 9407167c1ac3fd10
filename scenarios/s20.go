package main

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner/internal/lab"
)

func init() {
	scenarios = append(scenarios, scenario{id: "S20", name: "poison", files: "s20", rounds: 3, build: buildS20,
		about: "a consumer crash-loops on one message; the message goes to the dead letters and the consumer lives",
		needs: []need{{program: "nats-server", debian: "nats-server"}}})
}

// buildS20 starts a queue, somebody who puts orders into it, and a packer that its supervisor starts again and again.
func buildS20(ctx context.Context, w *world) error {
	nats, err := lab.StartNATS(ctx, w.path("run"))
	if err != nil {
		return err
	}
	w.ends(nats.Stop)
	w.Values["nats"] = nats.URL()
	publisher, err := w.Address("publisher")
	if err != nil {
		return err
	}
	packer, err := w.Address("packer")
	if err != nil {
		return err
	}
	if err := w.app("publisher", nats.URL(), publisher); err != nil {
		return err
	}
	if err := w.answers(ctx, fmt.Sprintf("http://%s/healthz", publisher)); err != nil {
		return err
	}
	if err := w.app("supervise", w.path("run", "packer.pid"), w.App, "packer", nats.URL(), packer); err != nil {
		return err
	}
	return w.answers(ctx, fmt.Sprintf("http://%s/healthz", packer))
}
