package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func incidentsCommand(set *settings) *cobra.Command {
	var asJSON, open bool
	var limit int
	cmd := &cobra.Command{
		Use:   "incidents [ID]",
		Short: "List incidents, or show one with all that is known of it",
		Long: `Without an ID, lists the incidents, the newest first. With one, shows its whole timeline, the diagnosis with its
evidence, what every guard said, every step, and every check. It may be asked while a jenner runs.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := sqlite.Open(set.data, sqlite.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer store.Close()
			if len(args) == 1 {
				return showIncident(cmd, store, args[0], asJSON)
			}
			records, err := store.List(cmd.Context(), loop.IncidentLine, sqlite.ListFilter{OpenOnly: open, Limit: limit})
			if err != nil {
				return err
			}
			return listIncidents(cmd.OutOrStdout(), records, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&open, "open", false, "only those that go on")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many; 0 for all")
	return cmd
}

// shownIncident is one incident in the JSON output.
type shownIncident struct {
	Phase    jenner.Phase    `json:"phase"`
	Incident jenner.Incident `json:"incident"`
	Timeline []jenner.Entry  `json:"timeline,omitempty"`
}

func readIncident(record jenner.Record) (shownIncident, error) {
	shown := shownIncident{Phase: record.Phase}
	if err := json.Unmarshal(record.State, &shown.Incident); err != nil {
		return shown, fmt.Errorf("incident %s cannot be read: %w", record.ID, err)
	}
	return shown, nil
}

func listIncidents(out io.Writer, records []jenner.Record, asJSON bool) error {
	list := []shownIncident{}
	for _, record := range records {
		shown, err := readIncident(record)
		if err != nil {
			return err
		}
		list = append(list, shown)
	}
	if asJSON {
		return json.NewEncoder(out).Encode(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(out, "no incidents")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tOPENED\tSERVICE\tPHASE\tCAUSE\tOUTCOME")
	for _, shown := range list {
		cause, _ := shown.Incident.Diagnosis.Best()
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", shown.Incident.ID, shown.Incident.OpenedAt.Local().Format(time.DateTime),
			shown.Incident.Service, shown.Phase, dash(string(cause.Cause)), shown.Incident.Outcome)
	}
	return table.Flush()
}

func showIncident(cmd *cobra.Command, store *sqlite.Store, id string, asJSON bool) error {
	record, err := store.Load(cmd.Context(), loop.IncidentLine, id)
	if errors.Is(err, jenner.ErrNotFound) {
		return fmt.Errorf("there is no incident %q; `jenner incidents` lists them", id)
	}
	if err != nil {
		return err
	}
	shown, err := readIncident(record)
	if err != nil {
		return err
	}
	if shown.Timeline, err = store.Timeline(cmd.Context(), loop.IncidentLine, id); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(shown)
	}
	incident := shown.Incident
	fmt.Fprintf(out, "%s  %s  %s\n", incident.ID, incident.Service, shown.Phase)
	if incident.Outcome != "" {
		fmt.Fprintf(out, "%s\n", incident.Outcome)
	}
	fmt.Fprintf(out, "\nTimeline\n")
	for _, entry := range shown.Timeline {
		fmt.Fprintf(out, "  %s  +%-8s %-10s %s\n", entry.At.Local().Format("15:04:05.000"),
			entry.At.Sub(incident.OpenedAt).Round(time.Millisecond), entry.Kind, entry.Text)
	}
	showGuards(out, shown.decisions())
	fmt.Fprintf(out, "\nAll that is known\n")
	fmt.Fprint(out, loop.Context(&incident))
	showChecks(out, incident)
	return nil
}

// decisions are all decisions with what every guard said, as the timeline has them.
func (s shownIncident) decisions() []jenner.Decision {
	var all []jenner.Decision
	for _, entry := range s.Timeline {
		var decision jenner.Decision
		if entry.Kind == jenner.EntryDecision && json.Unmarshal(entry.Data, &decision) == nil {
			all = append(all, decision)
		}
	}
	return all
}

func showGuards(out io.Writer, decisions []jenner.Decision) {
	for _, decision := range decisions {
		fmt.Fprintf(out, "\nDecision at %s: %s %s on %s, policy %s\n", decision.At.Local().Format("15:04:05.000"), decision.Outcome,
			decision.Runbook, decision.Target, decision.Policy)
		for _, guard := range decision.Guards {
			fmt.Fprintf(out, "  %-11s %-9s %s\n", guard.Guard, guard.Outcome, guard.Reason)
		}
	}
}

func showChecks(out io.Writer, incident jenner.Incident) {
	if len(incident.Verification.Checks) == 0 {
		return
	}
	fmt.Fprintf(out, "\nVerification at %s: %s\n", incident.Verification.At.Local().Format("15:04:05.000"), incident.Verification.Outcome)
	for _, check := range incident.Verification.Checks {
		fmt.Fprintf(out, "  %-24s %-12s %s\n", check.Name, check.Outcome, check.Saw)
	}
}
