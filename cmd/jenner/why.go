package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func whyCommand(set *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why INCIDENT",
		Short: "Say why something was done, or why not: every guard, with its numbers",
		Long: `Shows every decision about an incident, those that led to an action and those that did not: what each guard said,
with the numbers it saw, whom Jenner asked and what they answered, and afterwards whether it would have been right.`,
		Args:              exactly("INCIDENT"),
		ValidArgsFunction: set.completeIncidents(1, false, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := sqlite.Open(set.data, sqlite.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer store.Close()
			record, err := store.Load(cmd.Context(), loop.IncidentLine, args[0])
			if errors.Is(err, jenner.ErrNotFound) {
				return fmt.Errorf("there is no incident %q; `jenner incidents` lists them", args[0])
			}
			if err != nil {
				return err
			}
			shown, err := readIncident(record)
			if err != nil {
				return err
			}
			if shown.Timeline, err = store.Timeline(cmd.Context(), loop.IncidentLine, args[0]); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"incident": args[0], "phase": shown.Phase,
					"outcome": shown.Incident.Outcome, "decisions": shown.decisions(), "requests": shown.Incident.Requests})
			}
			tellWhy(cmd.OutOrStdout(), shown)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func tellWhy(out io.Writer, shown shownIncident) {
	incident := shown.Incident
	fmt.Fprintf(out, "%s  %s  %s\n", incident.ID, incident.Service, shown.Phase)
	if incident.Outcome != "" {
		fmt.Fprintln(out, incident.Outcome)
	}
	decisions := shown.decisions()
	if len(decisions) == 0 {
		fmt.Fprintln(out, "\nNothing was decided. What was found out:")
		for _, entry := range shown.Timeline {
			if entry.Kind != jenner.EntryScene {
				fmt.Fprintf(out, "  %s  %s\n", entry.At.Local().Format("15:04:05.000"), entry.Text)
			}
		}
	}
	for _, decision := range decisions {
		fmt.Fprintf(out, "\n%s  %s\n", decision.At.Local().Format("15:04:05.000"), verdictOf(decision))
		for _, guard := range decision.Guards {
			fmt.Fprintf(out, "  %s %-11s %-9s %s\n", mark(guard.Outcome), guard.Guard, guard.Outcome, guard.Reason)
			if len(guard.Numbers) > 0 {
				fmt.Fprintf(out, "    %-11s %-9s %s\n", "", "", numbersOf(guard))
			}
		}
	}
	for _, request := range incident.Requests {
		tellRequest(out, request)
	}
	for _, entry := range shown.Timeline {
		if entry.Kind == "judged" {
			fmt.Fprintf(out, "\n%s  afterwards: %s\n", entry.At.Local().Format("15:04:05.000"), entry.Text)
		}
	}
}

// verdictOf says in a sentence what a decision came to.
func verdictOf(decision jenner.Decision) string {
	run := fmt.Sprintf("%s on %s of %s, policy %s", decision.Runbook, decision.Target, decision.Service, decision.Policy)
	switch decision.Outcome {
	case jenner.DecideAct:
		return "DONE: " + run
	case jenner.DecideAsk:
		return "ASKED FIRST: " + run
	case jenner.DecideRecommend:
		return "ONLY RECOMMENDED: " + run
	case jenner.DecideWait:
		return "WAITED: " + run
	}
	return "NOT DONE: " + run
}

// mark shows at a glance which guards were in the way.
func mark(outcome jenner.DecisionOutcome) string {
	switch outcome {
	case jenner.DecideAct:
		return " "
	case jenner.DecideRefuse:
		return "x"
	}
	return "?"
}

func numbersOf(guard jenner.GuardResult) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(guard.Numbers)) {
		parts = append(parts, name+"="+guard.Numbers[name])
	}
	return strings.Join(parts, " ")
}

func tellRequest(out io.Writer, request jenner.Request) {
	end := "open until " + request.Expires.Local().Format(time.TimeOnly)
	if request.Closed != "" {
		end = string(request.Closed)
	}
	who := "anybody"
	if len(request.By) > 0 {
		who = strings.Join(request.By, ", ")
	}
	fmt.Fprintf(out, "\n%s  asked %d of %s about %s (%s): %s\n", request.At.Local().Format("15:04:05.000"), request.Need, who,
		request.Runbook, request.ID, end)
	for _, vote := range request.Votes {
		word := "no"
		if vote.Yes {
			word = "yes"
		}
		fmt.Fprintf(out, "  %-4s %-12s at %s %s\n", word, vote.Person, vote.At.Local().Format(time.TimeOnly), vote.Reason)
	}
}
