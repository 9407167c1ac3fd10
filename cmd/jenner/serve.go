package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/provider/core"
)

func serveCommand(set *settings) *cobra.Command {
	var listen string
	var dryRun bool
	var baseline time.Duration
	var kube kubeFlags
	cmd := &cobra.Command{
		Use:   "serve DIR...",
		Short: "Watch what the files in DIR describe, and heal it",
		Long: `Watches the services that the files in DIR describe and heals them as the policies there allow, until it is stopped.

A changed file, or SIGHUP, reads all files again. Where anything is wrong with them, all are refused, the old ones stay in
force, and the error names file and line. What waits then is decided by what the files say now; a runbook that has begun goes on.
SIGUSR1 stops all action, as jenner stop does. Ctrl-C stops; an incident that is under way goes on at the next start.

With --kube the documents are custom resources of a Kubernetes cluster, beside the files in DIR where there is any: one that is
wrong is left out and says why in its status, and the others stay in force. Of several Jenners, the one that has the lease acts.`,
		Example: "  jenner serve /etc/jenner --data /var/lib/jenner\n  jenner serve --kube --data /var/lib/jenner --listen :9797",
		Args: func(cmd *cobra.Command, args []string) error {
			if kube.on {
				return nil
			}
			return atLeastOne("folder")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			go keepLean(cmd.Context())
			logger := set.logger(slog.LevelInfo)
			fallback, err := fallbacks(set.data)
			if err != nil {
				return err
			}
			opts := app.Options{Config: args, Data: set.data, Catalog: providers, Logger: logger,
				Fallback: fallback, Listen: listen, Reaper: reaperFor(set.data), Holder: holderFor(set.data), Baseline: baseline, DryRun: dryRun, Schedule: !dryRun,
				OnChange: func(change jenner.Change) { say(cmd.OutOrStdout(), change) }}
			if kube.on {
				return kube.serve(cmd.Context(), opts, cmd.OutOrStdout())
			}
			a, err := app.New(opts)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), a, nil, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9797", "address of /metrics, /healthz, and where alerts of others are taken; none where empty")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "decide and say what would be done, but change nothing")
	cmd.Flags().DurationVar(&baseline, "baseline", time.Minute, "how long the steady state of a service is learned")
	kube.add(cmd)
	return cmd
}

// serve runs a Jenner until ctx ends. objects has a word in it when documents that are no files have changed.
func serve(ctx context.Context, a *app.App, objects <-chan struct{}, out io.Writer) error {
	logger := a.Logger
	if err := a.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s watching %d services; state in %s\n", time.Now().Format(time.TimeOnly), len(a.Docs().Services), a.Data)
	if a.Address != nil {
		fmt.Fprintf(out, "         metrics on http://%s/metrics; `jenner stop --data %s` stops all action\n", a.Address, a.Data)
	}
	if hold, on := a.Holds.KillSwitch(); on {
		fmt.Fprintf(out, "         the kill switch is on (by %s): nothing will be done until `jenner resume`\n", hold.By)
	}
	for _, pause := range a.Holds.Pauses() {
		fmt.Fprintf(out, "         %s is paused by %s: nothing will be done to it until `jenner resume %s`\n", pause.Scope, pause.By, pause.Scope)
	}
	reload := func() {
		if err := a.Reload(); err != nil {
			logger.Error("the files are refused and the old ones stay in force:\n" + err.Error())
			return
		}
		logger.Info("the documents were read again", "services", len(a.Docs().Services))
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	alarms := make(chan os.Signal, 1)
	signal.Notify(alarms, syscall.SIGUSR1)
	defer signal.Stop(alarms)
	changes := make(chan struct{}, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	err := config.Watch(watching, a.Config, func() {
		select {
		case changes <- struct{}{}:
		default:
		}
	})
	if err != nil {
		logger.Error("changed files are not noticed; send SIGHUP after a change", "error", err)
	}
	for {
		select {
		case <-ctx.Done():
			return a.Stop()
		case <-alarms:
			if _, err := a.Holds.Stop("signal SIGUSR1", ""); err != nil {
				logger.Error("the kill switch could not be put on", "error", err)
			}
		case <-hangups:
			reload()
		case <-changes:
			reload()
		case <-objects:
			reload()
		}
	}
}

// fallbacks are told about everything: the terminal and a file.
func fallbacks(data string) ([]notify.Notifier, error) { return fallbacksTo(os.Stderr, data) }

// fallbacksTo is the same for who writes to the terminal himself.
func fallbacksTo(terminal io.Writer, data string) ([]notify.Notifier, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the data directory: %w", err)
	}
	return []notify.Notifier{core.NewTerminal(terminal), &core.NotifierFile{Path: filepath.Join(data, "pages.jsonl")}}, nil
}

// say prints the timeline entries of a change, a line each.
func say(out io.Writer, change jenner.Change) {
	for _, entry := range change.Timeline {
		if entry.Kind == "phase" {
			continue
		}
		fmt.Fprintf(out, "%s %-10s %-9s %s\n", entry.At.Format("15:04:05.000"), change.Record.Subject, entry.Kind, entry.Text)
	}
}
