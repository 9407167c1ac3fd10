package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func stopCommand(set *settings) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop all action now (kill switch)",
		Long: `Stops all action of every jenner that uses the data directory, at once, in every phase, and across restarts. What was
begun is taken back where it can be; watching, diagnosing and paging go on. It works whether or not a jenner runs.

In need, without this program: create the file kill-switch in the data directory, or send SIGUSR1 to jenner serve.
jenner pause stops single services.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(set.data, 0o700); err != nil {
				return fmt.Errorf("cannot make the data directory: %w", err)
			}
			holds := app.NewHolds(set.data, time.Now)
			_, already := holds.KillSwitch()
			hold, err := holds.Stop(person(), reason)
			if err != nil {
				return err
			}
			if already {
				fmt.Fprint(cmd.OutOrStdout(), "already ")
			}
			fmt.Fprintf(cmd.OutOrStdout(), "stopped by %s at %s; `jenner resume --data %s` lets it act again\n",
				hold.By, hold.At.Local().Format(time.DateTime), set.data)
			return writeDown(cmd.Context(), set.data, "hold.asked", hold)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who come later")
	return cmd
}

func resumeCommand(set *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "resume [SERVICE...]",
		Short: "Let Jenner act again after jenner stop, or on services after jenner pause",
		Long: `Without a service, takes the kill switch away; pauses of single services stay. With services, ends their pauses; the
kill switch stays.`,
		ValidArgsFunction: set.completePaused,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unpause(cmd.Context(), set.data, args, cmd.OutOrStdout())
			}
			hold, was, err := app.NewHolds(set.data, time.Now).Resume()
			if err != nil {
				return err
			}
			if !was {
				fmt.Fprintln(cmd.OutOrStdout(), "it was not stopped")
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "resumed; it was stopped by %s at %s\n", hold.By, hold.At.Local().Format(time.DateTime))
			for _, pause := range app.NewHolds(set.data, time.Now).Pauses() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is still paused by %s\n", pause.Scope, pause.By)
			}
			return writeDown(cmd.Context(), set.data, "hold.lift-asked", hold)
		},
	}
}

// person is who asks, for the audit log and for approvals: the account, and the one behind sudo where there is one.
func person() string {
	if behind := os.Getenv("SUDO_USER"); behind != "" && os.Getuid() == 0 {
		return behind
	}
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// writeDown puts what a person did into the audit log. The deed is done already, so that not being able to write it
// down is told, but does not take it back.
func writeDown(ctx context.Context, data, kind string, hold jenner.Hold) error {
	store, err := sqlite.Open(data, sqlite.Options{})
	if err != nil {
		return fmt.Errorf("done, but it is not in the audit log: %w", err)
	}
	defer store.Close()
	err = store.AppendAudit(ctx, jenner.AuditEntry{At: time.Now(), Kind: kind, Subject: hold.Scope, Actor: person(),
		Data: jenner.Raw(hold)})
	if err != nil {
		return fmt.Errorf("done, but it is not in the audit log: %w", err)
	}
	return nil
}
