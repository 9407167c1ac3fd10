package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/calendar"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func replayCommand(set *settings) *cobra.Command {
	var configs []string
	var asJSON bool
	var many replayMany
	cmd := &cobra.Command{
		Use:   "replay INCIDENT|FILE... | replay --since 7d [--policy P] [--service S]",
		Short: "Run past incidents through today's files and say what would happen",
		Long: `Takes what was seen of an incident (its alerts, the probes and numbers that the diagnosis looked at), runs it through
the files as they are now, with what had been done and proved until then, and says what would be diagnosed, what every
guard would say and what each step would do. Nothing is changed, and nothing is asked of the live world but how much the
steps would touch and whether they are possible. What today's files look at and nobody looked at then is missing evidence.

What people did then is left out: stops, pauses, and answers to Jenner's questions. So are calendars at a URL, and what
was left of error budgets. Calendars in files count as they are now.

FILE is what jenner incidents ID --json printed (for several, one after the other), or a list of alerts as JSON:
  [{"service": "checkout", "name": "ready-failing", "kind": "probe", "starts_at": "2026-11-22T03:00:00Z"}]

With --since, replays all recorded incidents that were opened since then, a line each, and sums up at the end which of
them would be decided otherwise; --verbose shows each in full. Ctrl-C ends it with the sum of those that it came to.

Exit code 0 where every recorded incident would be decided as it was, 1 where one would be decided otherwise, could not
be replayed, or it was broken off, 2 where it was asked the wrong way.`,
		Example: "  jenner replay i-1122-034501-9f03aa --config examples/shop/jenner\n" +
			"  jenner replay --since 7d --policy crashed --config new-files",
		ValidArgsFunction: set.completeIncidents(0, false, true),
		Args:              many.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			r := replaying{out: cmd.OutOrStdout(), warn: cmd.ErrOrStderr(), asJSON: asJSON, full: set.verbose}
			r.store, r.noStore = sqlite.Open(set.data, sqlite.Options{ReadOnly: true})
			if r.noStore == nil {
				defer r.store.Close()
			} else {
				r.store = nil
			}
			var err error
			if r.docs, err = r.documents(cmd.Context(), configs, set.logger(slog.LevelError)); err != nil {
				return err
			}
			if many.since > 0 {
				return r.since(cmd.Context(), many, time.Now())
			}
			return r.all(cmd.Context(), args)
		},
	}
	cmd.Flags().StringSliceVar(&configs, "config", nil, "folder with the files; the one that jenner serve was last started with where not said")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	many.flags(cmd)
	set.completeFlags(cmd)
	return cmd
}

// replaying is one call of the command.
type replaying struct {
	store     *sqlite.Store // nil: there is no data directory, so nothing was done before
	noStore   error         // why
	docs      *jenner.Documents
	out, warn io.Writer
	asJSON    bool
	full      bool // each of many in full
	told      bool // that calendars at a URL are left out
}

func (r *replaying) documents(ctx context.Context, configs []string, logger *slog.Logger) (*jenner.Documents, error) {
	if r.store == nil && len(configs) == 0 {
		return nil, usage("there is no data directory that tells where the files are (%w); name the folder: --config DIR", r.noStore)
	}
	return documentsOf(ctx, r.store, configs, logger)
}

// replayed is what the command says about one incident.
type replayed struct {
	Then string        `json:"then,omitempty"` // what was decided first when it happened
	Now  loop.Replayed `json:"now"`
	Same bool          `json:"same"`
}

func (r *replaying) all(ctx context.Context, args []string) error {
	differs := false
	results := []replayed{}
	for _, arg := range args {
		pasts, err := r.find(ctx, arg)
		if err != nil {
			return err
		}
		for _, one := range pasts {
			result, err := r.one(ctx, one)
			if err != nil {
				return fmt.Errorf("%s: %w", one.id, err)
			}
			differs = differs || !result.Same
			results = append(results, result)
			if !r.asJSON {
				if err := r.tell(ctx, one, result); err != nil {
					return err
				}
			}
		}
	}
	if r.asJSON {
		if err := json.NewEncoder(r.out).Encode(results); err != nil {
			return err
		}
	}
	if differs {
		return exitCode(exitNo)
	}
	return nil
}

func (r *replaying) one(ctx context.Context, one past) (replayed, error) {
	if one.then != nil && one.then.SymptomOf != "" && !one.recorded {
		// Its alerts alone would be taken for trouble of its own.
		now := loop.Replayed{Incident: *one.then, Nothing: "it is left to " + one.then.SymptomOf + ", of whose cause it was a symptom"}
		return replayed{Then: "nothing: " + one.then.Outcome, Now: now, Same: true}, nil
	}
	replay := loop.Replay{Docs: r.docs, Stepper: app.Rehearsal(r.docs, providers), Explains: r.explains(ctx, one)}
	if r.store != nil {
		replay.Memory = r.store
	}
	var err error
	if replay.Planned, err = r.planned(ctx, one.scene.At); err != nil {
		return replayed{}, err
	}
	now, err := replay.Run(ctx, one.id, one.service, one.scene)
	if err != nil {
		return replayed{}, err
	}
	result := replayed{Now: now, Same: true}
	if one.then != nil {
		decision, was := decidedThen(*one.then, one.scene)
		result.Then = "nothing: " + cmp.Or(one.then.Outcome, "it is not decided yet")
		if was {
			result.Then = inWords(decision)
		}
		// Why nothing was decided may be said in other words; that nothing was is the same.
		result.Same = was == (now.Nothing == "") && (!was || result.Then == decided(now))
	}
	return result, nil
}

// planned is what the calendars say was on around a time, as far as they are files. What cannot be read is a gap, and
// told to the guard.
func (r *replaying) planned(ctx context.Context, at time.Time) (func(jenner.Service, time.Time) ([]jenner.Planned, []string), error) {
	var files []jenner.Calendar
	for _, one := range r.docs.Calendars {
		if where, err := url.Parse(one.ICS); err == nil && where.Host != "" {
			if !r.told {
				r.told = true
				fmt.Fprintf(r.warn, "jenner: calendar %s is at a URL and left out: a replay asks nobody\n", one.Name)
			}
			continue
		}
		files = append(files, one)
	}
	if len(files) == 0 {
		return nil, nil
	}
	reader := calendar.New(calendar.Options{Now: func() time.Time { return at }})
	reader.Set(files)
	_ = reader.Read(ctx) // what cannot be read is among the gaps
	return reader.Planned, context.Cause(ctx)
}

// decidedThen is what was decided when the scene was seen, if anything was. A decision that said nothing new was not
// written down again, so that an earlier one may stand for it; a wait because somebody had stopped Jenner is passed over,
// for a replay knows nothing of stops.
func decidedThen(incident jenner.Incident, scene jenner.Scene) (found jenner.Decision, was bool) {
	for _, decision := range incident.Decisions {
		if decision.Stopper().Guard == "hold" && decision.Outcome == jenner.DecideWait && len(incident.Decisions) > 1 {
			continue
		}
		if found, was = decision, true; !decision.At.Before(scene.At) {
			break
		}
	}
	return found, was
}

func decided(now loop.Replayed) string {
	if now.Nothing != "" {
		return "nothing: " + now.Nothing
	}
	return inWords(now.Decision)
}

// inWords says what was decided. Whatever people answered then is left out: a replay asks nobody.
func inWords(decision jenner.Decision) string {
	for _, guard := range decision.Guards {
		if decision.Outcome == jenner.DecideAct && guard.Outcome == jenner.DecideAsk {
			decision.Outcome = jenner.DecideAsk
		}
	}
	text := fmt.Sprintf("%s %s on %s of %s", decision.Outcome, decision.Runbook, decision.Target, decision.Service)
	if stopper := decision.Stopper(); stopper.Guard != "" {
		text += " (guard " + stopper.Guard + ")"
	}
	return text
}

func (r *replaying) tell(ctx context.Context, one past, result replayed) error {
	fmt.Fprintf(r.out, "%s  %s  as seen at %s\n", one.id, one.service, one.scene.At.Local().Format(time.DateTime))
	if one.then != nil {
		fmt.Fprintf(r.out, "then: %s\n", result.Then)
	}
	fmt.Fprintf(r.out, "now:  %s\n", decided(result.Now))
	if !one.recorded {
		fmt.Fprintln(r.out, "nobody kept what was seen besides the alerts, so other evidence is missing")
	}
	if cause, known := result.Now.Incident.Diagnosis.Best(); known {
		fmt.Fprintf(r.out, "\ncause %s on %s, confidence %.2f = %s\n", cause.Cause, cause.Service, float64(cause.Confidence), cause.Formula)
		for _, evidence := range cause.Evidence {
			fmt.Fprintf(r.out, "  %-11s %s: %s\n", evidence.Finding, evidence.What, evidence.Saw)
		}
	}
	if decision := result.Now.Decision; len(decision.Guards) > 0 {
		fmt.Fprintln(r.out)
		for _, guard := range decision.Guards {
			fmt.Fprintf(r.out, "  %s %-11s %-9s %s\n", mark(guard.Outcome), guard.Guard, guard.Outcome, guard.Reason)
		}
		fmt.Fprintln(r.out)
		steps, err := rehearse(ctx, r.docs, decision.Runbook, decision.Service, decision.Target)
		if err != nil && !errors.Is(err, errUsage) {
			return err
		}
		steps.tell(r.out)
	}
	fmt.Fprintln(r.out)
	return nil
}
