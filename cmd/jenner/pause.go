package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/app"
)

func pauseCommand(set *settings) *cobra.Command {
	var reason string
	var lasting time.Duration
	cmd := &cobra.Command{
		Use:   "pause SERVICE...",
		Short: "Keep Jenner from acting on some services for a while",
		Long: `Nothing is done to the services any more, at once, in every phase, and across restarts, until the time is over or
jenner resume SERVICE. What was begun is taken back where it can be; watching, diagnosing and paging go on. It works
whether or not a jenner runs. jenner stop stops everything.`,
		Example: "  jenner pause checkout payments --for 2h --reason 'moving the database'",
		Args:    atLeastOne("service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lasting < 0 {
				return usage("--for %s lies in the past", lasting)
			}
			return pause(cmd.Context(), set.data, args, lasting, reason, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who come later")
	cmd.Flags().DurationVar(&lasting, "for", 0, "for how long; until jenner resume where not said")
	return cmd
}

func pause(ctx context.Context, data string, services []string, lasting time.Duration, reason string, out io.Writer) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("cannot make the data directory: %w", err)
	}
	holds := app.NewHolds(data, time.Now)
	var until time.Time
	if lasting > 0 {
		until = time.Now().Add(lasting)
	}
	for _, service := range services {
		hold, err := holds.Pause(service, until, person(), reason)
		if err != nil {
			return err
		}
		end := "until `jenner resume " + service + "`"
		if !until.IsZero() {
			end = "until " + until.Local().Format(time.DateTime)
		}
		fmt.Fprintf(out, "%s is paused by %s %s\n", service, hold.By, end)
		if err := writeDown(ctx, data, "hold.asked", hold); err != nil {
			return err
		}
	}
	return nil
}

// unpause ends the pauses of services.
func unpause(ctx context.Context, data string, services []string, out io.Writer) error {
	holds := app.NewHolds(data, time.Now)
	var all error
	for _, service := range services {
		hold, was, err := holds.Unpause(service)
		switch {
		case err != nil:
			all = errors.Join(all, err)
		case !was:
			fmt.Fprintf(out, "%s was not paused\n", service)
		default:
			fmt.Fprintf(out, "%s is not paused any more; it was by %s since %s\n", service, hold.By, hold.At.Local().Format(time.DateTime))
			all = errors.Join(all, writeDown(ctx, data, "hold.lift-asked", hold))
		}
	}
	return all
}
