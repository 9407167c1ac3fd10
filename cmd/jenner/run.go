package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/strict"
)

func runCommand(set *settings) *cobra.Command {
	var service, policy string
	var configs []string
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "run RUNBOOK | run --policy POLICY; with --service S --dry-run",
		Short: "Say exactly what a runbook or a policy would do to a service",
		Long: `Goes through a runbook step by step and says for each what it would do, on which target, with which parameters, and
whether it is possible at this moment. Nothing is changed. Steps count as passed for the conditions of later ones.

With --policy, says first how far the policy goes by itself in the service's environment, on which rung of the ladder it
stands where that is earned (the data directory knows it), and its limits, and then goes through its runbooks in order.

Exit code 0 where every step is possible at this moment, 1 where one is not, 2 where it was asked the wrong way.
Runbooks run for real only for an incident, through the guards: jenner serve, or jenner drill.`,
		Example: "  jenner run restart --service checkout --dry-run --config examples/shop/jenner\n" +
			"  jenner run --policy crashed --service checkout --dry-run --config examples/shop/jenner",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: set.complete(1, runbooksOf),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !dryRun:
				return usage("a runbook runs only for an incident, through the guards; add --dry-run to see what it would do")
			case (len(args) == 1) == (policy != ""):
				return usage("jenner run wants either a RUNBOOK or --policy POLICY; see jenner run --help")
			}
			docs, err := app.Read(configs, providers, set.logger(slog.LevelError))
			if err != nil {
				return err
			}
			if policy != "" {
				return runPolicy(cmd.Context(), set.data, docs, policy, service, asJSON, cmd.OutOrStdout())
			}
			return runOne(cmd.Context(), docs, args[0], service, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "the service that it would be done for")
	cmd.Flags().StringVar(&policy, "policy", "", "go through a policy instead of a single runbook")
	cmd.Flags().StringSliceVar(&configs, "config", []string{"."}, "folder with the files")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("service")
	set.completeFlags(cmd)
	return cmd
}

// rehearsed is what a runbook would do.
type rehearsed struct {
	Runbook    string           `json:"runbook"`
	Service    string           `json:"service"`
	Target     jenner.TargetRef `json:"target"`
	Steps      []rehearsedStep  `json:"steps"`
	RevertWhen string           `json:"revert_when,omitempty"`
	Possible   bool             `json:"possible"` // every step, at this moment
}

// rehearsedStep is what one step would do, or why it cannot at this moment.
type rehearsedStep struct {
	Name   string            `json:"name"`
	Status jenner.StepStatus `json:"status"`
	Would  string            `json:"would,omitempty"`
	Error  string            `json:"error,omitempty"`
}

func runOne(ctx context.Context, docs *jenner.Documents, name, service string, asJSON bool, out io.Writer) error {
	result, err := rehearse(ctx, docs, name, service, jenner.TargetRef{})
	switch {
	case err != nil:
		return err
	case asJSON:
		err = json.NewEncoder(out).Encode(result)
	default:
		result.tell(out)
	}
	if err == nil && !result.Possible {
		return exitCode(exitNo)
	}
	return err
}

// rehearse runs the steps for a target, the service's first where none is named, through an executor that changes nothing.
func rehearse(ctx context.Context, docs *jenner.Documents, name, serviceName string, target jenner.TargetRef) (rehearsed, error) {
	result := rehearsed{Runbook: name, Service: serviceName, Target: target, Possible: true}
	book, known := docs.Runbook(name)
	if !known {
		return result, usage("there is no runbook %q in the files%s", name, strict.Hint(name, runbooksOf(docs)))
	}
	service, known := docs.Service(serviceName)
	if !known {
		return result, usage("there is no service %q in the files%s", serviceName, strict.Hint(serviceName, servicesOf(docs)))
	}
	if len(service.Targets) > 0 && target.Name == "" {
		result.Target = service.Targets[0].Ref()
	}
	result.RevertWhen = book.RevertWhen
	incident := &jenner.Incident{ID: "dry-run", Service: serviceName, Diagnosis: jenner.Diagnosis{Root: serviceName},
		Runs: []jenner.Run{{ID: "dry-run", Runbook: book, Target: result.Target, State: jenner.RunActive}}}
	stepper := app.Rehearsal(docs, providers)
	for range book.Steps {
		record, err := nextStep(ctx, stepper, incident)
		if err != nil {
			return result, err
		}
		result.Possible = result.Possible && record.Error == ""
		result.Steps = append(result.Steps, rehearsedStep{record.Name, record.Status, record.Summary, record.Error})
		incident.Run().State = jenner.RunActive // a dry run goes on, to show the other steps too
	}
	return result, nil
}

func (r rehearsed) tell(out io.Writer) {
	fmt.Fprintf(out, "%s for %s; a dry run, nothing is changed\n", r.Runbook, r.Service)
	for i, step := range r.Steps {
		text := step.Would
		if step.Error != "" {
			text = "NOT POSSIBLE NOW: " + step.Error
		}
		fmt.Fprintf(out, "%3d %-14s %-8s %s\n", i+1, step.Name, step.Status, text)
	}
	if r.RevertWhen != "" {
		fmt.Fprintf(out, "then, when %s, what was changed would be taken back\n", r.RevertWhen)
	}
}

func nextStep(ctx context.Context, stepper *act.Stepper, incident *jenner.Incident) (jenner.StepRecord, error) {
	for {
		stepped, err := stepper.Next(ctx, incident)
		switch {
		case err != nil:
			return jenner.StepRecord{}, err
		case stepped.Record != nil:
			return *stepped.Record, nil
		}
		select {
		case <-time.After(time.Until(stepped.At)):
		case <-ctx.Done():
			return jenner.StepRecord{}, context.Cause(ctx)
		}
	}
}
