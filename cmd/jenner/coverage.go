package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func coverageCommand(set *settings) *cobra.Command {
	var configs []string
	var asJSON bool
	var least share
	cmd := &cobra.Command{
		Use:   "coverage [SERVICE...]",
		Short: "Show which runbooks are proven against which faults, and which are not",
		Long: `Shows for each fault, service and runbook whether a drill has proven that the runbook heals the service of the fault:

  proven       the last drill came out PROVEN in every round, and nothing has changed since
  stale        it did, but longer ago than the policy's requires_proof asks, or the experiment, the service, the signatures
               of the cause or the runbook have changed since; a policy with requires_proof asks instead of acting
  failing      the last drill came out otherwise
  never tried  there was no drill

The rows are what the files imply: each policy gives, for each of its runbooks and each service that it picks, a row for
every fault that an experiment declares for its cause on that service; or, where there is no such experiment and the policy
acts by itself there, one row without a fault. Causes that are never left to a machine, services of third parties and
experiments that expect another verdict than PROVEN give none.

The share is the number of proven rows divided by the number of all rows. With --min, the exit code is 1 where the share is
below it, or where there is no row at all; exit code 0 otherwise.`,
		Example: "  jenner coverage --data /var/lib/jenner\n" +
			"  jenner coverage --config /etc/jenner --data /var/lib/jenner --min 80%",
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
			proofs, err := store.Proofs(cmd.Context())
			if err != nil {
				return err
			}
			covered := only(learn.Coverage(docs, proofs, time.Now(), fullFault), args)
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(covered)
			} else {
				err = showCoverage(cmd.OutOrStdout(), covered)
			}
			if err != nil {
				return err
			}
			return enough(covered, &least, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringSliceVar(&configs, "config", nil, "folder with the files; the one that jenner serve or drill was last started with where not said")
	cmd.Flags().Var(&least, "min", "exit code 1 where a smaller share is proven, such as 80% or 0.8")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// share is a flag that is written as in the files.
type share struct {
	value jenner.Share
	said  bool
}

// Set reads the flag.
func (s *share) Set(text string) error {
	if err := s.value.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	s.said = true
	return nil
}

// String is empty where nothing was said.
func (s *share) String() string {
	if !s.said {
		return ""
	}
	text, _ := s.value.MarshalText() // of a share that was read, it cannot fail
	return string(text)
}

// Type is how the help calls the value.
func (*share) Type() string { return "share" }

// fullFault is a fault's full name; empty where no such fault works on that kind of target.
func fullFault(fault, kind string) string {
	entry, err := providers.Fault(fault, kind)
	if err != nil {
		return ""
	}
	return entry.Name
}

// only keeps the rows of some services; all where none is named.
func only(all learn.Covered, services []string) learn.Covered {
	kept := learn.Covered{Rows: []learn.CoverageRow{}}
	for _, row := range all.Rows {
		if len(services) > 0 && !slices.Contains(services, row.Service) {
			continue
		}
		kept.Rows = append(kept.Rows, row)
		if row.State == learn.CoverageProven {
			kept.Proven++
		}
	}
	if len(kept.Rows) > 0 {
		kept.Share = float64(kept.Proven) / float64(len(kept.Rows))
	}
	return kept
}

// enough is the exit code.
func enough(covered learn.Covered, least *share, warn io.Writer) error {
	switch {
	case !least.said:
		return nil
	case len(covered.Rows) == 0:
		fmt.Fprintln(warn, "jenner: nothing is to be proven, so that no share of it is; see jenner coverage --help")
		return exitCode(exitNo)
	case covered.Share < float64(least.value):
		fmt.Fprintf(warn, "jenner: %d of %d are proven, and at least %s must be\n", covered.Proven, len(covered.Rows), least.String())
		return exitCode(exitNo)
	}
	return nil
}

func showCoverage(out io.Writer, covered learn.Covered) error {
	if len(covered.Rows) == 0 {
		fmt.Fprintln(out, "nothing is to be proven: no policy acts by itself, and no experiment declares a fault for a policy's cause")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tCAUSE\tFAULT\tRUNBOOK\tSTATE\tWHEN\tAT VERSIONS\tNOTE")
	for _, row := range covered.Rows {
		when := "-"
		if !row.At.IsZero() {
			when = row.At.Local().Format(time.DateTime)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Service, row.Cause, dash(row.Fault), row.Runbook, row.State, when,
			dash(versionsIn(row.Versions)), dash(noteOf(row)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d of %d proven, %.0f%%\n", covered.Proven, len(covered.Rows), 100*covered.Share)
	return err
}

// noteOf is what a person must know of a row besides its state.
func noteOf(row learn.CoverageRow) string {
	switch {
	case row.State == learn.CoverageStale:
		return row.Why
	case row.State == learn.CoverageFailing:
		return fmt.Sprintf("%s in drill %s", row.Verdict, row.Drill)
	case row.State == learn.CoverageUntried && row.Fault == "":
		return fmt.Sprintf("no experiment, and policy %s acts by itself", strings.Join(row.Policies, ", "))
	case row.State == learn.CoverageUntried:
		return "jenner drill " + strings.Join(row.Experiments, ", ")
	}
	return ""
}

// versionsIn is the beginning of each hash, which is enough to tell two versions apart by eye.
func versionsIn(versions map[string]string) string {
	var parts []string
	for _, key := range []string{jenner.VersionService, jenner.VersionSignature, jenner.VersionRunbook} {
		if hash := versions[key]; hash != "" {
			parts = append(parts, key+" "+hash[:min(6, len(hash))])
		}
	}
	return strings.Join(parts, ", ")
}
