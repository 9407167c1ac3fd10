package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/config"
)

func gamedayRunCommand(set *settings) *cobra.Command {
	var g gamedayRun
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a game day: inject its faults at their times, and write the scorecard",
		Long: `Runs the game day that FILE holds, against the services that --config describes, which must run and be steady. It stays
in this terminal until the game day is over, or until every fault is gone and said to be resolved, and then prints the
timeline and the scorecard.

Every fault is taken back at the end, whatever ends it: Ctrl-C, jenner stop, an abort condition and kill -9 included. What a
fault is that the document calls secret is told nowhere before the end, unless --reveal is given: not here, not by jenner
incidents, and not by jenner undo, which can take it back all the same.

It uses the data directory as jenner serve and jenner drill do: one of them at a time.

Exit code 0 only where every fault came and is gone, nothing broke it off, and every goal was met.`,
		Example: "  jenner gameday run gameday.yaml --config /etc/jenner --report gameday.html",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := gamedayForms.check(g.reports); err != nil {
				return err
			}
			show := newDrillView(cmd.ErrOrStderr())
			defer show.close()
			return g.run(cmd.Context(), set, args, cmd.OutOrStdout(), show)
		},
	}
	cmd.Flags().StringSliceVar(&g.configs, "config", nil, "folder that describes the services; that of FILE where not said")
	cmd.Flags().StringVar(&g.name, "name", "", "which game day, where FILE holds several")
	cmd.Flags().BoolVar(&g.reveal, "reveal", false, "tell on this terminal what is secret, for who leads the game day")
	cmd.Flags().BoolVar(&g.asJSON, "json", false, "print JSON in the end, instead of text")
	cmd.Flags().DurationVar(&g.baseline, "baseline", 10*time.Second, "how long the steady state is learned before it begins")
	cmd.Flags().StringArrayVar(&g.reports, "report", nil, "write a report to this file; .html or .json. May be given several times")
	_ = cmd.MarkFlagFilename("report", "html", "json") // fails only where there is no such flag
	return cmd
}

// gamedayRun are the flags of jenner gameday run.
type gamedayRun struct {
	configs, reports []string
	name             string
	reveal, asJSON   bool
	baseline         time.Duration
}

func (g *gamedayRun) run(ctx context.Context, set *settings, files []string, out io.Writer, show *drillView) error {
	configs := g.configs
	if len(configs) == 0 {
		configs = []string{filepath.Dir(files[0])}
	}
	wanted, err := config.Load(files...)
	if err != nil {
		return err
	}
	day, err := namedGameday(wanted.Documents.Gamedays, g.name, files)
	if err != nil {
		return err
	}
	a, bench, err := g.start(ctx, set, union(configs, files), show)
	if err != nil {
		return err
	}
	defer func() {
		if err := a.Stop(); err != nil {
			fmt.Fprintf(show, "jenner: not everything could be put in order: %v\n", err)
		}
	}()
	fmt.Fprintf(show, "learning what steady means for %s\n", g.baseline)
	show.waiting("learning what steady means")
	if err := bench.steady(ctx, a, g.baseline+20*time.Second); err != nil {
		return err
	}
	show.waiting(fmt.Sprintf("game day %s\tuntil every fault is gone and resolved, for %s at most", day.Name, jenner.Duration(day.Length())))
	run, err := a.RunGameday(ctx, day, g.teller(show))
	show.close()
	if run.EndedAt.IsZero() {
		return err // it never began
	}
	return errors.Join(err, g.tell(context.WithoutCancel(ctx), a, run, err != nil, out))
}

// start starts a jenner that watches, and tells nobody on this terminal what it sees, unless that may be told.
func (g *gamedayRun) start(ctx context.Context, set *settings, configs []string, show *drillView) (*app.App, *bench, error) {
	var terminal io.Writer = io.Discard
	bench := newBench()
	if g.reveal {
		terminal, bench.onEntry = show, show.entry
	}
	fallback, err := fallbacksTo(terminal, set.data)
	if err != nil {
		return nil, nil, err
	}
	a, err := app.New(app.Options{Config: configs, Data: set.data, Catalog: providers, Logger: quietLogger(set, show, g.reveal),
		Fallback: fallback, Reaper: reaperFor(set.data), Holder: holderFor(set.data), Baseline: g.baseline, OnChange: bench.hear})
	if err != nil {
		return nil, nil, err
	}
	if err := a.Start(ctx); err != nil {
		return nil, nil, err
	}
	return a, bench, nil
}

// teller prints what happens, and where it may, what the secrets are.
func (g *gamedayRun) teller(show *drillView) func(jenner.Entry) {
	return func(entry jenner.Entry) {
		text := entry.Text
		var strike jenner.GamedayStrike
		if g.reveal && json.Unmarshal(entry.Data, &strike) == nil && strike.Secret {
			text = strings.Replace(text, "a secret", fmt.Sprintf("the secret %s on %s of %s", strike.Fault, strike.Target, strike.Service), 1)
			if strike.Error != "" {
				text += ": " + strike.Error
			}
		}
		fmt.Fprintf(show, "%s %-10s %-9s %s\n", entry.At.Format("15:04:05.000"), "gameday", entry.Kind, text)
	}
}

// tell prints the scorecard and writes the reports. The error is the exit code.
func (g *gamedayRun) tell(ctx context.Context, a *app.App, run jenner.GamedayRun, failed bool, out io.Writer) error {
	shown, err := gamedayIn(ctx, a.Store, run.ID)
	if err != nil {
		return err
	}
	var gaps error
	if len(g.reports) > 0 {
		shown.Panels, gaps = panelsOf(ctx, a, strickenServices(a, run), run.StartedAt, run.EndedAt)
		gaps = errors.Join(gaps, gamedayForms.write(g.reports, shown))
	}
	if g.asJSON {
		err = json.NewEncoder(out).Encode(shown)
	} else {
		_, err = io.WriteString(out, shown.Text())
	}
	if err = errors.Join(err, gaps); err != nil {
		return err
	}
	for _, fault := range shown.Card.Faults {
		failed = failed || fault.Error != "" || fault.InjectedAt.IsZero()
	}
	if failed || run.Aborted != "" || !shown.Card.Met {
		return exitCode(exitNo)
	}
	return nil
}

// strickenServices are the services that the faults were for.
func strickenServices(a *app.App, run jenner.GamedayRun) []jenner.Service {
	var services []jenner.Service
	seen := map[string]bool{}
	for _, strike := range run.Struck {
		if service, known := a.Docs().Service(strike.Service); known && !seen[service.Name] {
			seen[service.Name] = true
			services = append(services, service)
		}
	}
	return services
}
