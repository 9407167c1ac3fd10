package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func maturityCommand(set *settings) *cobra.Command {
	var configs []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "maturity [SERVICE...]",
		Short: "Show where each policy stands on the ladder to autonomy, and what is missing",
		Long: `Shows for each service and each policy that is for it, runbook by runbook, on which rung it stands: shadow, recommend,
approve or auto; with the evidence (decisions that turned out right and wrong, the lower bound of the share of right ones,
drills that came out PROVEN) and what is missing for the next rung. A policy without promotion stands where its files say.`,
		Example:           "  jenner maturity checkout --data /var/lib/jenner",
		ValidArgsFunction: set.complete(0, servicesOf),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := sqlite.Open(set.data, sqlite.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer store.Close()
			docs, err := documentsOf(cmd.Context(), store, configs, set.logger(slog.LevelError))
			if err != nil {
				return err
			}
			if err := knownServices(docs, args); err != nil {
				return err
			}
			standings, err := loop.Maturity(cmd.Context(), store, docs, time.Now(), args...)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(standings)
			}
			return showMaturity(cmd.OutOrStdout(), standings)
		},
	}
	cmd.Flags().StringSliceVar(&configs, "config", nil, "folder with the files; the one that jenner serve was last started with where not said")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// knownServices refuses names of services that are not in the files.
func knownServices(docs *jenner.Documents, names []string) error {
	for _, name := range names {
		if _, known := docs.Service(name); !known {
			return usage("there is no service %q in the files%s", name, strict.Hint(name, servicesOf(docs)))
		}
	}
	return nil
}

// documentsOf reads the files: those named, or those that the jenner of the data directory was last started with.
func documentsOf(ctx context.Context, store *sqlite.Store, configs []string, logger *slog.Logger) (*jenner.Documents, error) {
	if len(configs) == 0 {
		var err error
		if configs, err = app.ConfigOf(ctx, store); err != nil {
			return nil, fmt.Errorf("%w; name the folder with the files: --config DIR", err)
		}
	}
	return app.Read(configs, providers, logger)
}

func showMaturity(out io.Writer, standings []jenner.Standing) error {
	if len(standings) == 0 {
		fmt.Fprintln(out, "no policy is for any of the services")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tPOLICY\tRUNBOOK\tSTANDS ON\tAT MOST\tRIGHT\tWRONG\tUNKNOWN\tBOUND\tPROVEN\tMISSING")
	for _, one := range standings {
		level := string(one.Level)
		if !one.FromHistory {
			level += " (by file)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%.2f\t%d\t%s\n", one.Service, one.Policy, one.Runbook, level, one.Ceiling,
			one.Right, one.Wrong, one.Unknown, one.Bound, one.Proven, dash(strings.Join(one.Missing, "; ")))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, one := range standings {
		if one.LastChange != "" {
			fmt.Fprintf(out, "%s, %s on %s: %s\n", one.Service, one.Policy, one.Runbook, one.LastChange)
		}
	}
	return nil
}
