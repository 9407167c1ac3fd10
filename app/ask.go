package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// ask puts a question of an experiment to a probe of its kind and gives the answer. A probe that fails, or that gives no
// answer, is an error: nothing is known then.
func (a *App) ask(ctx context.Context, service jenner.Service, ask jenner.Ask) (string, error) {
	probe, err := a.bind.probe(service, jenner.Probe{Kind: ask.Kind, Params: ask.Params})
	if err != nil {
		return "", err
	}
	result := probe.Probe(ctx, telemetry.ProbeCall{Service: service})
	switch {
	case result.Outcome != telemetry.OK:
		return "", errors.New(result.Message)
	case result.Answer == "":
		return "", fmt.Errorf("the probe %s gave no answer to compare", ask.Kind)
	}
	return result.Answer, nil
}
