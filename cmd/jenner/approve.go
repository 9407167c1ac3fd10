package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func approveCommand(set *settings) *cobra.Command {
	var v voting
	var ahead bool
	var service, book string
	var lasting span
	cmd := &cobra.Command{
		Use:   "approve ID | approve --ahead --service S --runbook R --for 1h",
		Short: "Let Jenner make the run that it asks about",
		Long: `Says yes to the open request of an incident; ID is the incident or the request, as the page and jenner incidents say.
Where the policy wants several people, each says it for themself. Saying it twice is as saying it once. Jenner looks
again before it acts: what has cleared meanwhile needs nothing.

With --ahead, says yes beforehand to whatever runs of a runbook on a service come until the time is over. All other
guards hold on.`,
		Example:           "  jenner approve i-1122-034501-9f03aa\n  jenner approve --ahead --service checkout --runbook restart --for 1h",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: set.completeIncidents(1, true, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			v.yes = true
			switch {
			case ahead && (service == "" || book == "" || lasting <= 0 || len(args) > 0):
				return usage("with --ahead write --service, --runbook and --for, and no ID")
			case ahead:
				return v.ahead(cmd.Context(), set.data, service, book, time.Duration(lasting), cmd.OutOrStdout())
			case len(args) != 1:
				return usage("jenner approve wants the ID of an incident or a request; `jenner incidents --open` lists them")
			}
			return v.vote(cmd.Context(), set.data, args[0], cmd.OutOrStdout())
		},
	}
	v.flags(cmd)
	cmd.Flags().BoolVar(&ahead, "ahead", false, "agree beforehand to runs that are still to come")
	cmd.Flags().StringVar(&service, "service", "", "with --ahead: the service")
	cmd.Flags().StringVar(&book, "runbook", "", "with --ahead: the runbook")
	cmd.Flags().Var(&lasting, "for", "with --ahead: for how long from now on, such as 2h or 1d")
	set.completeFlags(cmd)
	return cmd
}

func rejectCommand(set *settings) *cobra.Command {
	var v voting
	cmd := &cobra.Command{
		Use:   "reject ID",
		Short: "Keep Jenner from making the run that it asks about",
		Long: `Says no to the open request of an incident; ID is the incident or the request. One no of somebody who may agree is
enough: nothing is done, and the incident stays with people.`,
		Args:              exactly("ID"),
		ValidArgsFunction: set.completeIncidents(1, true, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.vote(cmd.Context(), set.data, args[0], cmd.OutOrStdout())
		},
	}
	v.flags(cmd)
	return cmd
}

// voting is what one person says.
type voting struct {
	yes    bool
	reason string
	asJSON bool
}

func (v *voting) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&v.reason, "reason", "", "why, for those who come later")
	cmd.Flags().BoolVar(&v.asJSON, "json", false, "print JSON")
}

// voted is what came of a vote, in the JSON output.
type voted struct {
	Vote jenner.Vote `json:"vote"`
	Have int         `json:"have"`
	Need int         `json:"need"`
}

func (v *voting) vote(ctx context.Context, data, id string, out io.Writer) error {
	request, err := openRequest(ctx, data, id)
	if err != nil {
		return err
	}
	store, err := sqlite.Open(data, sqlite.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	vote := jenner.Vote{Request: request.ID, Person: person(), Yes: v.yes, At: time.Now(), Reason: v.reason}
	switch {
	case len(request.By) > 0 && !slices.Contains(request.By, vote.Person):
		return fmt.Errorf("%s is not among those who may say a word on %s: %s", vote.Person, request.ID, strings.Join(request.By, ", "))
	case !time.Now().Before(request.Expires):
		return fmt.Errorf("%s expired at %s; nothing will be done", request.ID, request.Expires.Local().Format(time.DateTime))
	}
	if err := store.PutVote(ctx, vote); err != nil {
		return err
	}
	votes, err := store.Votes(ctx, request.ID, request.Service, request.Runbook)
	if err != nil {
		return err
	}
	return v.tell(voted{Vote: vote, Have: agreed(votes, request), Need: request.Need}, request, out)
}

// agreed counts the different people who said yes.
func agreed(votes []jenner.Vote, request jenner.Request) int {
	people := map[string]bool{}
	for _, vote := range votes {
		if vote.Yes && (len(request.By) == 0 || slices.Contains(request.By, vote.Person)) {
			people[vote.Person] = true
		}
	}
	return len(people)
}

func (v *voting) tell(result voted, request jenner.Request, out io.Writer) error {
	if v.asJSON {
		return json.NewEncoder(out).Encode(result)
	}
	run := fmt.Sprintf("%s on %s of %s", request.Runbook, request.Target, request.Service)
	switch {
	case !v.yes:
		fmt.Fprintf(out, "rejected by %s: %s will not be run\n", result.Vote.Person, run)
	case result.Have < result.Need:
		fmt.Fprintf(out, "agreed, %d of %d so far: %s waits for the others until %s\n", result.Have, result.Need, run,
			request.Expires.Local().Format(time.TimeOnly))
	default:
		fmt.Fprintf(out, "agreed, %d of %d: %s is run as soon as Jenner has looked once more\n", result.Have, result.Need, run)
	}
	return nil
}

// openRequest finds the open request of an incident, or says why there is none. It makes nothing: a data directory that a
// wrong --data names does not come about by asking.
func openRequest(ctx context.Context, data, id string) (jenner.Request, error) {
	store, err := sqlite.Open(data, sqlite.Options{ReadOnly: true})
	if err != nil {
		return jenner.Request{}, err
	}
	defer store.Close()
	incidentID, _, _ := strings.Cut(id, "/")
	record, err := store.Load(ctx, loop.IncidentLine, incidentID)
	if errors.Is(err, jenner.ErrNotFound) {
		return jenner.Request{}, fmt.Errorf("there is no incident %q; `jenner incidents --open` lists them", incidentID)
	}
	if err != nil {
		return jenner.Request{}, err
	}
	shown, err := readIncident(record)
	if err != nil {
		return jenner.Request{}, err
	}
	requests := shown.Incident.Requests
	if request := shown.Incident.Request(); request != nil && !record.Ended && (id == incidentID || id == request.ID) {
		return *request, nil
	}
	for _, request := range slices.Backward(requests) {
		if request.Closed != "" && (id == incidentID || id == request.ID) {
			return jenner.Request{}, fmt.Errorf("%s is %s already; `jenner why %s` tells how", request.ID, request.Closed, incidentID)
		}
	}
	return jenner.Request{}, fmt.Errorf("%s asks nobody: it is %s; `jenner why %s` tells why", id, record.Phase, incidentID)
}

func (v *voting) ahead(ctx context.Context, data, service, book string, lasting time.Duration, out io.Writer) error {
	if looked, err := sqlite.Open(data, sqlite.Options{ReadOnly: true}); err != nil {
		return fmt.Errorf("no jenner would hear of it: %w", err)
	} else if err := looked.Close(); err != nil {
		return err
	}
	docs := filesFor(ctx, data, nil) // where they cannot be read, nobody knows better
	if known := servicesOf(docs); len(known) > 0 && !slices.Contains(known, service) {
		return usage("there is no service %q in the files%s", service, strict.Hint(service, known))
	}
	if known := runbooksOf(docs); len(known) > 0 && !slices.Contains(known, book) {
		return usage("there is no runbook %q in the files%s", book, strict.Hint(book, known))
	}
	store, err := sqlite.Open(data, sqlite.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	now := time.Now()
	vote := jenner.Vote{Service: service, Runbook: book, Until: now.Add(lasting), Person: person(), Yes: true, At: now, Reason: v.reason}
	if err := store.PutVote(ctx, vote); err != nil {
		return err
	}
	if v.asJSON {
		return json.NewEncoder(out).Encode(voted{Vote: vote, Have: 1})
	}
	fmt.Fprintf(out, "%s agrees until %s to every run of %s on %s that the other guards allow\n", vote.Person,
		vote.Until.Local().Format(time.DateTime), book, service)
	return nil
}
