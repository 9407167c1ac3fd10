package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/app"
)

func runCommand(set *settings) *cobra.Command {
	var service string
	var configs []string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "run RUNBOOK --service S --dry-run",
		Short: "Say exactly what a runbook would do to a service",
		Long: `Goes through a runbook step by step and says for each what it would do, on which target, with which parameters, and
whether it is possible at this moment. Nothing is changed. Steps count as passed for the conditions of later ones.

Runbooks run for real only for an incident, through the guards: jenner serve, or jenner drill.`,
		Example: "  jenner run restart --service checkout --dry-run --config examples/shop/jenner",
		Args:    exactly("RUNBOOK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !dryRun {
				return usage("a runbook runs only for an incident, through the guards; add --dry-run to see what it would do")
			}
			docs, err := app.Read(configs, providers, set.logger(slog.LevelError))
			if err != nil {
				return err
			}
			return rehearse(cmd.Context(), docs, args[0], service, jenner.TargetRef{}, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "the service that the runbook would run for")
	cmd.Flags().StringSliceVar(&configs, "config", []string{"."}, "folder with the files")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	_ = cmd.MarkFlagRequired("service")
	return cmd
}

// rehearse runs the steps for a target, the service's first where none is named, through an executor that changes nothing.
func rehearse(ctx context.Context, docs *jenner.Documents, name, serviceName string, target jenner.TargetRef, out io.Writer) error {
	book, known := docs.Runbook(name)
	if !known {
		return usage("there is no runbook %q in the files", name)
	}
	service, known := docs.Service(serviceName)
	if !known {
		return usage("there is no service %q in the files", serviceName)
	}
	incident := &jenner.Incident{ID: "dry-run", Service: serviceName, Diagnosis: jenner.Diagnosis{Root: serviceName}}
	run := jenner.Run{ID: "dry-run", Runbook: book, Target: target, State: jenner.RunActive}
	if len(service.Targets) > 0 && target.Name == "" {
		run.Target = service.Targets[0].Ref()
	}
	incident.Runs = []jenner.Run{run}
	stepper := app.Rehearsal(docs, providers)
	fmt.Fprintf(out, "%s for %s; a dry run, nothing is changed\n", name, serviceName)
	impossible := 0
	for i := range book.Steps {
		record, err := nextStep(ctx, stepper, incident)
		if err != nil {
			return err
		}
		text := record.Summary
		if record.Error != "" {
			impossible++
			text = "NOT POSSIBLE NOW: " + record.Error
		}
		fmt.Fprintf(out, "%3d %-14s %-8s %s\n", i+1, record.Name, record.Status, text)
		incident.Run().State = jenner.RunActive // a dry run goes on, to show the other steps too
	}
	if book.RevertWhen != "" {
		fmt.Fprintf(out, "then, when %s, what was changed would be taken back\n", book.RevertWhen)
	}
	if impossible > 0 {
		return exitCode(exitNo)
	}
	return nil
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
