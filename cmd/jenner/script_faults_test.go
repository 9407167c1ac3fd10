package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// scriptWords are what the stories can say besides running programs.
var scriptWords = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// drift DATA ID FILE FROM TO [secret] injects a fault into a file, as a jenner would that was killed right after it.
	"drift": func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) < 5 {
			ts.Fatalf("drift wants DATA ID FILE FROM TO")
		}
		journal, err := chaos.OpenJournal(filepath.Join(ts.MkAbs(args[0]), "faults"))
		ts.Check(err)
		injector := &chaos.Injector{Journal: journal, Now: time.Now, Build: providers.MakeFault, Holders: &chaos.Holders{Journal: journal},
			Held: func() (jenner.Hold, bool) { return jenner.Hold{}, false }}
		target := jenner.Target{Kind: "file", Name: "conf", Params: jenner.Params{"path": jenner.Raw(ts.MkAbs(args[2]))}}
		_, err = injector.Inject(context.Background(), jenner.FaultRecord{ID: args[1], Drill: "g-test", Fault: "drift", Service: jenner.Service{Name: "web"},
			Target: target, Secret: slices.Contains(args[5:], "secret"),
			Params: jenner.Params{"replace": jenner.Raw(map[string]string{"from": args[3], "to": args[4]})}}, time.Minute)
		ts.Check(err)
	},
	// showed DATA FILES EXPERIMENT VERDICT AGO keeps a verdict, as a drill that ended so long ago.
	"showed": func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) != 5 {
			ts.Fatalf("showed wants DATA FILES EXPERIMENT VERDICT AGO")
		}
		docs, err := app.Read([]string{ts.MkAbs(args[1])}, providers, slog.New(slog.DiscardHandler))
		ts.Check(err)
		ago, err := jenner.ParseDuration(args[4])
		ts.Check(err)
		at := slices.IndexFunc(docs.Experiments, func(e jenner.Experiment) bool { return e.Name == args[2] })
		experiment, when := docs.Experiments[at], time.Now().Add(-ago.Std())
		drill := jenner.Drill{ID: "d-" + args[4], Experiment: experiment, EndedAt: when, Versions: learn.VersionsAt(docs, []string{experiment.Service}),
			Injected: []jenner.FaultRecord{{Fault: "process.kill"}},
			Result:   jenner.DrillResult{Verdict: jenner.Verdict(args[3]), Cause: experiment.Expect.Cause, Runbook: experiment.Expect.Runbook, Target: experiment.Service}}
		store, err := sqlite.Open(ts.MkAbs(args[0]), sqlite.Options{})
		ts.Check(err)
		err = store.Commit(context.Background(), jenner.Change{Proofs: learn.ProofFrom(drill, docs),
			Record: jenner.Record{Line: "drill", ID: drill.ID, Phase: jenner.PhaseVerdict, Ended: true, Created: when, Updated: when, State: jenner.Raw(drill)}})
		ts.Check(err)
		ts.Check(store.Close())
	},
}

// readJSON reads a file that a command has written.
func readJSON(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	raw, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
