package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/strict"
)

func pauseCommand(set *settings) *cobra.Command {
	var reason string
	var lasting span
	cmd := &cobra.Command{
		Use:   "pause SERVICE...",
		Short: "Keep Jenner from acting on some services for a while",
		Long: `Nothing is done to the services any more, at once, in every phase, and across restarts, until the time is over or
jenner resume SERVICE. What was begun is taken back where it can be; watching, diagnosing and paging go on. It works
whether or not a jenner runs. jenner stop stops everything.`,
		Example:           "  jenner pause checkout payments --for 2h --reason 'moving the database'",
		Args:              atLeastOne("service"),
		ValidArgsFunction: set.complete(0, servicesOf),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := pause(cmd.Context(), set.data, args, time.Duration(lasting), reason, cmd.OutOrStdout())
			doubt(filesFor(cmd.Context(), set.data, nil), args, cmd.ErrOrStderr())
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who come later")
	cmd.Flags().Var(&lasting, "for", "for how long, such as 2h or 1d; until jenner resume where not said")
	return cmd
}

// span is how long something lasts, as a flag. It is written as in the files, days and weeks included.
type span jenner.Duration

// Set reads the flag.
func (s *span) Set(text string) error {
	lasting, err := jenner.ParseDuration(text)
	if err == nil && lasting <= 0 {
		err = fmt.Errorf("%q is no time at all", text)
	}
	*s = span(lasting)
	return err
}

// String is empty where nothing was said.
func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return jenner.Duration(*s).String()
}

// Type is how the help calls the value.
func (*span) Type() string { return "duration" }

// doubt warns of names that the jenner of the data directory does not know, which are paused all the same: its files may
// be about to change. Where its files cannot be read, nobody knows.
func doubt(docs *jenner.Documents, services []string, warn io.Writer) {
	known := servicesOf(docs)
	for _, name := range services {
		if len(known) > 0 && !slices.Contains(known, name) {
			fmt.Fprintf(warn, "jenner: WARNING: the files have no service %q%s\n", name, strict.Hint(name, known))
		}
	}
}

// pause comes before everything else that could fail or take time.
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
