package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// replayMany says which recorded incidents are replayed.
type replayMany struct {
	since           span
	policy, service string
}

func (m *replayMany) flags(cmd *cobra.Command) {
	cmd.Flags().Var(&m.since, "since", "replay all recorded incidents of this time, such as 12h or 7d")
	cmd.Flags().StringVar(&m.policy, "policy", "", "with --since: only those that this policy decides, then or now")
	cmd.Flags().StringVar(&m.service, "service", "", "with --since: only those about this service")
}

func (m *replayMany) args(cmd *cobra.Command, args []string) error {
	switch {
	case m.since > 0 && len(args) > 0:
		return usage("jenner replay wants either incidents and files, or --since")
	case m.since == 0 && (m.policy != "" || m.service != ""):
		return usage("--policy and --service narrow --since down; add it, such as --since 7d")
	case m.since > 0:
		return nil
	}
	return atLeastOne("incident or file, or --since")(cmd, args)
}

// replayedOne is one of many in the JSON output.
type replayedOne struct {
	ID      string    `json:"id"`
	Service string    `json:"service"`
	At      time.Time `json:"at"` // of the scene
	Error   string    `json:"error,omitempty"`
	replayed
}

// replaySum is what came of many.
type replaySum struct {
	Since     time.Time     `json:"since"`
	Same      int           `json:"same"`
	Otherwise int           `json:"otherwise"`
	Failed    int           `json:"failed"`           // could not be replayed
	NotCome   int           `json:"not_come_to"`      // for it was broken off
	Incidents []replayedOne `json:"incidents"`        // the oldest first
	Policy    string        `json:"policy,omitempty"` // only those that it decides
	Service   string        `json:"service,omitempty"`
}

// since replays all recorded incidents that were opened since, the oldest first.
func (r *replaying) since(ctx context.Context, many replayMany, now time.Time) error {
	if r.store == nil {
		return fmt.Errorf("no incidents are recorded: %w", r.noStore)
	}
	if err := r.known(many); err != nil {
		return err
	}
	sum := replaySum{Since: now.Add(-time.Duration(many.since)), Policy: many.policy, Service: many.service, Incidents: []replayedOne{}}
	records, err := r.store.List(ctx, loop.IncidentLine, sqlite.ListFilter{Since: sum.Since, Subject: many.service})
	if err != nil {
		return err
	}
	sum.NotCome = len(records)
	progress := newProgress(r.warn, len(records), time.Now)
	for i := len(records) - 1; i >= 0 && ctx.Err() == nil; i-- {
		progress.at(len(records) - 1 - i)
		come, err := r.oneOfMany(ctx, records[i], &sum)
		if err != nil {
			return err
		}
		if come {
			sum.NotCome = i
		}
	}
	progress.done()
	if r.asJSON {
		err = json.NewEncoder(r.out).Encode(sum)
	} else {
		sum.tell(r.out, many.since)
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w before %d of %d incidents", context.Cause(ctx), sum.NotCome, len(records))
	case sum.Otherwise+sum.Failed > 0:
		return exitCode(exitNo)
	}
	return nil
}

// known refuses names that are neither in the files nor anywhere else.
func (r *replaying) known(many replayMany) error {
	if hint := strict.Hint(many.policy, policiesOf(r.docs)); many.policy != "" && !slices.Contains(policiesOf(r.docs), many.policy) {
		return usage("there is no policy %q in the files%s", many.policy, hint)
	}
	if hint := strict.Hint(many.service, servicesOf(r.docs)); many.service != "" && !slices.Contains(servicesOf(r.docs), many.service) {
		return usage("there is no service %q in the files%s", many.service, hint)
	}
	return nil
}

// oneOfMany replays one and counts it; false where it was broken off. What cannot be replayed is told and does not keep the others off.
func (r *replaying) oneOfMany(ctx context.Context, record jenner.Record, sum *replaySum) (come bool, err error) {
	entry := replayedOne{ID: record.ID, Service: record.Subject}
	one, err := r.load(ctx, record)
	if err == nil {
		entry.At = one.scene.At
		entry.replayed, err = r.one(ctx, one)
	}
	if ctx.Err() != nil {
		return false, nil // it was not the incident that failed
	}
	if err == nil && sum.Policy != "" && one.then.Policy.Name != sum.Policy && entry.Now.Incident.Policy.Name != sum.Policy {
		return true, nil
	}
	verdict := "same"
	switch {
	case err != nil:
		sum.Failed++
		entry.Error, verdict = err.Error(), "FAILED"
	case entry.Same:
		sum.Same++
	default:
		sum.Otherwise++
		verdict = "OTHERWISE"
	}
	sum.Incidents = append(sum.Incidents, entry)
	switch {
	case r.asJSON:
		return true, nil
	case r.full && err == nil:
		return true, r.tell(ctx, one, entry.replayed)
	}
	fmt.Fprintf(r.out, "%s  %-9s  %s  %s\n", entry.ID, verdict, entry.Service, entry.inShort())
	return true, nil
}

func (e replayedOne) inShort() string {
	if e.Error != "" {
		return e.Error
	}
	return decided(e.Now)
}

func (s replaySum) tell(out io.Writer, since span) {
	if len(s.Incidents) == 0 && s.NotCome == 0 {
		fmt.Fprintf(out, "no such incident was opened within %s, since %s\n", since.String(), s.Since.Local().Format(time.DateTime))
		return
	}
	fmt.Fprintf(out, "\n%d incidents of the last %s: %d would be decided as then, %d otherwise", len(s.Incidents), since.String(), s.Same, s.Otherwise)
	if s.Failed > 0 {
		fmt.Fprintf(out, ", %d could not be replayed", s.Failed)
	}
	fmt.Fprintln(out)
	for _, one := range s.Incidents {
		if one.Error == "" && !one.Same {
			fmt.Fprintf(out, "  %s  %s\n    then: %s\n    now:  %s\n", one.ID, one.Service, one.Then, decided(one.Now))
		}
	}
}

// progressEvery is after how long the progress is told for the first time, and again.
const progressEvery = 2 * time.Second

// progress tells how far a long job is. It is not for concurrent use.
type progress struct {
	out  io.Writer
	all  int
	now  func() time.Time
	next time.Time
	told bool
}

func newProgress(out io.Writer, all int, now func() time.Time) *progress {
	return &progress{out: out, all: all, now: now, next: now().Add(progressEvery)}
}

func (p *progress) at(n int) {
	if now := p.now(); !now.Before(p.next) {
		p.next, p.told = now.Add(progressEvery), true
		fmt.Fprintf(p.out, "jenner: replayed %d of %d\n", n, p.all)
	}
}

// done says nothing where nothing was said before.
func (p *progress) done() {
	if p.told {
		fmt.Fprintln(p.out, "jenner: done")
	}
}
