package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/loop"
)

func drillCommand(set *settings) *cobra.Command {
	var d drilling
	cmd := &cobra.Command{
		Use:   "drill FILE...",
		Short: "Break a service on purpose and see whether Jenner heals it",
		Long: `Runs the experiments in the given files, one after the other, against the services that --config describes, and
says for each what it showed. The services must run and be steady. Every fault is undone, whatever happens, Ctrl-C and
kill -9 included.

Verdicts: PROVEN and PROVEN_SLOW: the expected runbook healed it. NOT_NEEDED: it heals by itself. NOT_REMEDIATED,
HARMFUL, NO_EFFECT, INCONCLUSIVE, ABORTED, RESIDUE: see docs/concepts.md.

On a terminal the last line moves and says what is waited for. --report writes what was seen to a file, whose ending says
the form: .html is one page with charts of the service's numbers, which needs nothing but itself; .xml is JUnit XML, a suite
for each experiment and a case for each round; .json is everything.

A policy that asks people first asks in a drill as well; --approve answers beforehand, in your name.

Exit code 0 only where every experiment came out PROVEN, or as its expect_verdict says.`,
		Example: "  jenner drill examples/shop/jenner/experiments.yaml --config examples/shop/jenner\n" +
			"  jenner drill drills.yaml --report drills.html --report junit.xml",
		Args: atLeastOne("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := drillForms.check(d.reports); err != nil {
				return err
			}
			if cmd.Flags().Changed("repeat") && d.repeat < 1 {
				return usage("--repeat is %d; write 1 or more", d.repeat)
			}
			show := newDrillView(cmd.ErrOrStderr())
			defer show.close()
			return d.run(cmd.Context(), set, args, cmd.OutOrStdout(), show)
		},
	}
	cmd.Flags().StringSliceVar(&d.configs, "config", nil, "folder that describes the services; that of the first FILE where not said")
	cmd.Flags().BoolVar(&d.approve, "approve", false, "agree beforehand, in your name, to the runbooks that the experiments expect")
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print one JSON object instead of the table")
	cmd.Flags().DurationVar(&d.baseline, "baseline", 10*time.Second, "how long the steady state is learned before the first drill")
	cmd.Flags().IntVar(&d.repeat, "repeat", 0, "how many rounds each experiment has, to try it out: only as many as it says itself count as its proof")
	cmd.Flags().StringArrayVar(&d.reports, "report", nil, "write a report to this file; .html, .xml (JUnit) or .json. May be given several times")
	_ = cmd.MarkFlagFilename("report", "html", "xml", "json") // fails only where there is no such flag
	return cmd
}

// drilling are the flags of jenner drill.
type drilling struct {
	configs, reports []string
	asJSON, approve  bool
	baseline         time.Duration
	repeat           int
}

func (d *drilling) run(ctx context.Context, set *settings, files []string, out io.Writer, show *drillView) error {
	configs := d.configs
	if len(configs) == 0 {
		configs = []string{filepath.Dir(files[0])}
	}
	wanted, err := config.Load(files...)
	if err != nil {
		return err
	}
	experiments := wanted.Documents.Experiments
	if len(experiments) == 0 {
		return usage("there is no experiment in %v", files)
	}
	if d.repeat > 0 {
		for i := range experiments {
			experiments[i].Repeat = d.repeat
		}
	}
	logger := set.loggerTo(show, slog.LevelError)
	fallback, err := fallbacksTo(show, set.data)
	if err != nil {
		return err
	}
	bench := newBench()
	bench.onEntry = show.entry
	a, err := app.New(app.Options{Config: union(configs, files), Data: set.data, Catalog: providers, Logger: logger,
		Fallback: fallback, Reaper: reaperFor(set.data), Holder: holderFor(set.data), Baseline: d.baseline, OnChange: bench.hear})
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	defer func() {
		if err := a.Stop(); err != nil {
			logger.Error("not everything could be put in order", "error", err)
		}
	}()
	fmt.Fprintf(show, "learning what steady means for %s\n", d.baseline)
	show.waiting("learning what steady means")
	if err := bench.steady(ctx, a, d.baseline+20*time.Second); err != nil {
		return err
	}
	if d.approve {
		if err := agree(ctx, a, experiments, show); err != nil {
			return err
		}
	}
	results, err := bench.runAll(ctx, a, experiments)
	show.close()
	err = errors.Join(err, d.report(context.WithoutCancel(ctx), a, bench.seen(), show))
	if err != nil {
		return err
	}
	return showResults(results, experiments, overallOf(bench.seen()), notCounted, d.asJSON, out)
}

// report writes the files that were asked for, also where the drills were broken off.
func (d *drilling) report(ctx context.Context, a *app.App, drills []jenner.Drill, warn io.Writer) error {
	if len(d.reports) == 0 || len(drills) == 0 {
		return nil
	}
	all, err := reportOf(ctx, a, drills)
	if err != nil {
		fmt.Fprintf(warn, "the report is not complete: %v\n", err)
	}
	return drillForms.write(d.reports, all)
}

// agree gives a person's word beforehand for what the experiments expect to be run, so that a policy which asks, for
// want of a proof or otherwise, can be proved.
func agree(ctx context.Context, a *app.App, experiments []jenner.Experiment, progress io.Writer) error {
	var parts []jenner.Experiment // each stage asks for itself
	for _, experiment := range experiments {
		for i := range max(1, len(experiment.Stages)) {
			parts = append(parts, experiment.At(i))
		}
	}
	for _, experiment := range parts {
		service := experiment.Expect.Target
		if service == "" {
			service = experiment.Service
		}
		if experiment.Expect.Runbook == "" {
			continue
		}
		now := time.Now()
		rounds := max(1, experiment.Repeat) * max(1, len(experiment.Stages))
		lasting := time.Duration(rounds) * (experiment.Timeout.Or(time.Minute) + experiment.ControlFor.Std() + 5*time.Minute)
		vote := jenner.Vote{Service: service, Runbook: experiment.Expect.Runbook, Until: now.Add(lasting), Person: person(), Yes: true,
			At: now, Reason: "drill " + experiment.Name}
		if err := a.Store.PutVote(ctx, vote); err != nil {
			return err
		}
		fmt.Fprintf(progress, "%s agrees to %s on %s until %s\n", vote.Person, vote.Runbook, vote.Service, vote.Until.Format(time.TimeOnly))
	}
	return nil
}

// union leaves out the files that lie in one of the folders, which would otherwise be read twice.
func union(folders, files []string) []string {
	all := append([]string(nil), folders...)
	for _, file := range files {
		inside := false
		for _, folder := range folders {
			rel, err := filepath.Rel(absolute(folder), absolute(file))
			inside = inside || (err == nil && filepath.IsLocal(rel))
		}
		if !inside {
			all = append(all, file)
		}
	}
	return all
}

func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// bench follows the drills that run in an app.
type bench struct {
	ended   chan jenner.Drill
	onEntry func(change jenner.Change)
	onDrill func(drill jenner.Drill, phase jenner.Phase)

	mu     sync.Mutex
	drills []jenner.Drill // as they were heard of last, in the order in which they began
}

func newBench() *bench {
	return &bench{ended: make(chan jenner.Drill, 64), onEntry: func(jenner.Change) {}, onDrill: func(jenner.Drill, jenner.Phase) {}}
}

func (b *bench) hear(change jenner.Change) {
	b.onEntry(change)
	if change.Record.Line != loop.DrillLine {
		return
	}
	var drill jenner.Drill
	if json.Unmarshal(change.Record.State, &drill) != nil {
		return
	}
	b.keep(drill)
	b.onDrill(drill, change.Record.Phase)
	if change.Record.Ended {
		b.ended <- drill
	}
}

func (b *bench) keep(drill jenner.Drill) {
	b.mu.Lock()
	defer b.mu.Unlock()
	same := func(other jenner.Drill) bool { return other.ID == drill.ID }
	if at := slices.IndexFunc(b.drills, same); at >= 0 {
		b.drills[at] = drill
		return
	}
	b.drills = append(b.drills, drill)
}

// seen are the drills so far, also one that was broken off.
func (b *bench) seen() []jenner.Drill {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.drills)
}

// steady waits until the steady state is known.
func (b *bench) steady(ctx context.Context, a *app.App, patience time.Duration) error {
	deadline := time.After(patience)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		known, total := a.SteadyKnown()
		if known == total && a.AllProbesPassing() == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return fmt.Errorf("not steady after %s: %d of %d SLIs are known; %s", patience, known, total, a.AllProbesPassing())
		case <-ticker.C:
		}
	}
}

// runAll runs experiments one after the other.
func (b *bench) runAll(ctx context.Context, a *app.App, experiments []jenner.Experiment) ([]jenner.DrillResult, error) {
	var results []jenner.DrillResult
	for _, experiment := range experiments {
		id, err := a.Drill(ctx, experiment)
		if err != nil {
			return results, err
		}
		drill, err := b.wait(ctx, id)
		if err != nil {
			return results, errors.Join(err, b.breakOff(context.WithoutCancel(ctx), a, id))
		}
		results = append(results, drill.Results...)
	}
	return results, nil
}

// breakOffPatience is how long a drill that was broken off may take to put things in order.
const breakOffPatience = 30 * time.Second

// breakOff ends a drill that nobody waits for any more, so that the next start does not go on with it.
func (b *bench) breakOff(ctx context.Context, a *app.App, id string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, breakOffPatience, fmt.Errorf("drill %s has not put everything in order after %s; "+
		"its faults end with their leases, and `jenner undo --all` looks for what is left", id, breakOffPatience))
	defer cancel()
	a.BreakOff("interrupted")
	_, err := b.wait(ctx, id)
	return err
}

func (b *bench) wait(ctx context.Context, id string) (jenner.Drill, error) {
	for {
		select {
		case drill := <-b.ended:
			if drill.ID == id {
				return drill, nil
			}
		case <-ctx.Done():
			return jenner.Drill{}, context.Cause(ctx)
		}
	}
}
