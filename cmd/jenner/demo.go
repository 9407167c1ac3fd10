package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// demoBaseline is how long the demo watches the shop before it breaks anything.
const demoBaseline = 5 * time.Second

func demoCommand() *cobra.Command {
	var asJSON, plain, keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Break a real shop before your eyes, and heal it",
		Long: `Starts a small real shop (seven processes on a loopback address of its own, with customers who place 20 orders a
second), learns what steady means, and runs five drills against it while the load goes on: a process killed, one hung,
a partner that is slow, a dependency that is down, and, to show that nothing is done then, nothing at all.

Needs no root, no database, no container. Takes about a minute, 90 s at most. Ctrl-C at any moment, or kill -9, leaves no
process and no fault behind. Exit code 0 only if every verdict is as expected.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), 90*time.Second, fmt.Errorf("the demo took longer than 90 s"))
			defer cancel()
			show := newView(cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON, plain)
			results, falseActions, err := demo(ctx, show, keep)
			show.close()
			if err != nil {
				return err
			}
			return showResults(results.results, results.experiments, nil, falseActions, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of the table")
	cmd.Flags().BoolVar(&plain, "plain", false, "plain lines, also on a terminal")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the folder with the state and the logs, and say where it is")
	return cmd
}

type demoResults struct {
	results     []jenner.DrillResult
	experiments []jenner.Experiment
}

// demo makes the world, lets Jenner run in it, and takes everything away again.
func demo(ctx context.Context, show view, keep bool) (demoResults, int, error) {
	dir, err := makeWorld()
	if err != nil {
		return demoResults{}, 0, err
	}
	show.stage("the shop's files and state are in " + dir)
	results, falseActions, err := demoIn(ctx, dir, show, keep)
	if keep {
		show.stage("kept: " + dir)
		return results, falseActions, err
	}
	return results, falseActions, errors.Join(err, os.RemoveAll(dir))
}

func demoIn(ctx context.Context, dir string, show view, keep bool) (_ demoResults, _ int, err error) {
	data := filepath.Join(dir, "data")
	log, err := os.Create(filepath.Join(dir, "jenner.log"))
	if err != nil {
		return demoResults{}, 0, err
	}
	defer log.Close()
	bench := newBench()
	bench.onEntry, bench.onDrill = show.entry, show.drill
	a, err := app.New(app.Options{Config: []string{dir}, Data: data, Catalog: providers, Baseline: demoBaseline,
		Logger:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Fallback: []notify.Notifier{&core.NotifierFile{Path: filepath.Join(data, "pages.jsonl")}},
		Reaper:   reaperFor(data, "--end-world", dir, fmt.Sprintf("--keep=%t", keep)), Holder: holderFor(data), OnChange: bench.hear})
	if err != nil {
		return demoResults{}, 0, err
	}
	// The reaper comes first: from here on, whatever dies, the processes and the faults end. It also does the tidying
	// at the normal end, when Stop lets it go.
	if err := a.Guard(); err != nil {
		return demoResults{}, 0, fmt.Errorf("%w%w", err, silent{a.Stop()})
	}
	defer func() {
		show.stage("ending the shop")
		stopErr := a.Stop()
		if err == nil {
			err = stopErr
		}
	}()
	if err := startWorld(ctx, a, show.stage); err != nil {
		return demoResults{}, 0, err
	}
	if err := a.Start(ctx); err != nil {
		return demoResults{}, 0, err
	}
	show.stage(fmt.Sprintf("learning for %s what steady means", demoBaseline))
	if err := bench.steady(ctx, a, demoBaseline+20*time.Second); err != nil {
		return demoResults{}, 0, err
	}
	show.stage("steady; now it is broken on purpose")
	experiments := a.Docs().Experiments
	drills, err := bench.runAll(ctx, a, experiments)
	if err != nil {
		return demoResults{}, 0, err
	}
	falseActions, err := countFalseActions(ctx, a, drills)
	return demoResults{drills, experiments}, falseActions, err
}

// countFalseActions counts the incidents in which something was done that no drill asked for.
func countFalseActions(ctx context.Context, a *app.App, drills []jenner.DrillResult) (int, error) {
	records, err := a.Store.List(ctx, loop.IncidentLine, sqlite.ListFilter{})
	if err != nil {
		return 0, err
	}
	acted := 0
	for _, record := range records {
		shown, err := readIncident(record)
		if err != nil {
			return 0, err
		}
		if !shown.Incident.ActedAt.IsZero() {
			acted++
		}
	}
	for _, drill := range drills {
		if drill.Runbook != "" && drill.Verdict != jenner.VerdictHarmful {
			acted--
		}
	}
	return acted, nil
}

// view shows the demo while it runs.
type view interface {
	stage(text string) // what the demo itself is doing
	drill(drill jenner.Drill, phase jenner.Phase)
	entry(change jenner.Change) // the running timeline
	close()
}

// newView is the terminal view on a terminal, and plain lines elsewhere. With JSON on the standard output, the lines go
// to the standard error.
func newView(out, errOut io.Writer, asJSON, plain bool) view {
	if asJSON {
		return &plainView{out: errOut, start: time.Now()}
	}
	if file, width, height, ok := terminalOf(out); ok && !plain {
		return newTerminalView(file, width, height, demoDrills())
	}
	return &plainView{out: out, start: time.Now()}
}
