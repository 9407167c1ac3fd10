package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/provider/command"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/file"
	"github.com/jenner-heal/jenner/provider/process"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// matrixWord makes the test binary a jenner that dies at one boundary:
//
//	BINARY matrix-child FILES DATA TRACE [before|after BOUNDARY]
//
// It writes each boundary that it comes to into TRACE, and ends by itself when no incident is open any more.
const matrixWord = "matrix-child"

// boundaries are the places between which a step lies: each commit, each write of the journal and each effect.
type boundaries struct {
	trace *os.File // appended to by one write a line, which is there also after a kill
	when  string   // before or after
	name  string   // where to die; nowhere if empty
}

// A line of the trace is one of these words and a text.
const (
	traceAt    = "at"    // a boundary was reached
	traceAsked = "asked" // an action was asked whether it happened: STEP: ANSWER
	traceDid   = "did"   // an effect returned: STEP: CHANGE

	didChange, didNothing = "changed", "as it was"
)

func (b *boundaries) say(word, text string) {
	if _, err := fmt.Fprintf(b.trace, "%s %s\n", word, text); err != nil {
		panic(err) // a matrix without its trace shows nothing
	}
}

// pass goes through one boundary, if it gets that far.
func (b *boundaries) pass(name string, through func()) {
	b.say(traceAt, name)
	b.dieIf("before", name)
	through()
	b.dieIf("after", name)
}

// dieIf is kill -9 by its own hand, so that it comes at exactly this place. No code of the program runs after it.
func (b *boundaries) dieIf(when, name string) {
	if b.when == when && b.name == name {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
}

// tracedDisk stands between the lines and the store.
type tracedDisk struct {
	app.Disk
	at *boundaries
}

func (d tracedDisk) Commit(ctx context.Context, change jenner.Change) (err error) {
	d.at.pass(commitName(change), func() { err = d.Disk.Commit(ctx, change) })
	return err
}

func (d tracedDisk) Begin(ctx context.Context, intent jenner.Intent) (stored jenner.Intent, fresh bool, err error) {
	d.at.pass(effectName("the intent", intent.Step, undoing(intent)), func() { stored, fresh, err = d.Disk.Begin(ctx, intent) })
	return stored, fresh, err
}

func (d tracedDisk) Finish(ctx context.Context, intent jenner.Intent) (err error) {
	d.at.pass(effectName("the result", intent.Step, undoing(intent)), func() { err = d.Disk.Finish(ctx, intent) })
	return err
}

func undoing(intent jenner.Intent) bool { return strings.HasSuffix(intent.Key, "/undo") }

// effectName is what is done to a step, while acting or while undoing.
func effectName(what, step string, undo bool) string {
	if undo {
		return fmt.Sprintf("%s: %s of the undo of %s", jenner.PhaseUndoing, what, step)
	}
	return fmt.Sprintf("%s: %s of %s", jenner.PhaseActing, what, step)
}

// notYet is the end of a boundary's name where a stage only looked and looks again later.
const notYet = "not yet"

// commitName says from where to where a commit leads, and with which step.
func commitName(change jenner.Change) string {
	if change.Record.Version == 0 {
		return "alert: the new incident"
	}
	from, of, to := change.Record.Phase, "", ""
	for _, entry := range change.Timeline {
		switch entry.Kind {
		case "phase":
			before, after, _ := strings.Cut(entry.Text, " → ")
			if to == "" { // one commit may lead through several phases
				from = jenner.Phase(before)
			}
			to = ", to " + after
		case "step":
			of = " of step " + stepOf(entry)
		case "undo":
			of = " of the undo of " + stepOf(entry)
		}
	}
	for _, intent := range change.Intents { // what comes next is written down with what led to it
		to += ", with the intent of " + intent.Step
	}
	if of+to == "" {
		return fmt.Sprintf("%s: commit, %s", from, notYet)
	}
	return fmt.Sprintf("%s: commit%s%s", from, of, to)
}

func stepOf(entry jenner.Entry) string {
	var record jenner.StepRecord
	if err := json.Unmarshal(entry.Data, &record); err != nil {
		panic(err)
	}
	return record.Name
}

// The actions under test, with their effects as boundaries. All else of them is as it is.
type (
	tracedFlag struct {
		*file.SetFlag
		at *boundaries
	}
	tracedRestart struct {
		*process.Restart
		at *boundaries
	}
	tracedRun struct {
		*command.Run
		at *boundaries
	}
)

func (a tracedFlag) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return a.at.effect(ctx, call, false, a.SetFlag.Do)
}

func (a tracedFlag) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	return a.at.effect(ctx, call, true, a.SetFlag.Undo)
}

func (a tracedFlag) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	return a.at.asked(ctx, call, a.SetFlag.Happened)
}

func (a tracedRestart) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return a.at.effect(ctx, call, false, a.Restart.Do)
}

func (a tracedRestart) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	return a.at.asked(ctx, call, a.Restart.Happened)
}

func (a tracedRun) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return a.at.effect(ctx, call, false, a.Run.Do)
}

func (a tracedRun) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	return a.at.asked(ctx, call, a.Run.Happened)
}

func (b *boundaries) effect(ctx context.Context, call act.Call, undo bool,
	do func(context.Context, act.Call) (act.Result, error)) (result act.Result, err error) {
	b.pass(effectName("the effect", call.Step, undo), func() {
		result, err = do(ctx, call)
		b.say(traceDid, call.Step+": "+map[bool]string{true: didChange, false: didNothing}[result.Changed])
	})
	return result, err
}

func (b *boundaries) asked(ctx context.Context, call act.Call,
	happened func(context.Context, act.Call) (act.Happened, error)) (act.Happened, error) {
	answer, err := happened(ctx, call)
	if err == nil { // with an error it is asked again
		b.say(traceAsked, call.Step+": "+string(answer))
	}
	return answer, err
}

// traced puts the boundaries around an action.
func (b *boundaries) traced(action act.Action) act.Action {
	switch action := action.(type) {
	case *file.SetFlag:
		return tracedFlag{action, b}
	case *process.Restart:
		return tracedRestart{action, b}
	case *command.Run:
		return tracedRun{action, b}
	}
	return action
}

// matrixChild is the whole program.
func matrixChild(args []string) int {
	files, data, trace := args[0], args[1], args[2]
	out, err := os.OpenFile(trace, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return exitOf(err)
	}
	defer out.Close()
	at := &boundaries{trace: out}
	if len(args) == 5 {
		at.when, at.name = args[3], args[4]
	}
	ended := make(chan struct{})
	var once sync.Once
	a, err := app.New(app.Options{Config: []string{files}, Data: data, Catalog: providers,
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Fallback: []notify.Notifier{&core.NotifierFile{Path: filepath.Join(data, "pages.jsonl")}},
		Through:  func(store *sqlite.Store) app.Disk { return tracedDisk{store, at} },
		OnChange: func(change jenner.Change) {
			if change.Record.Line == loop.IncidentLine && change.Record.Ended {
				once.Do(func() { close(ended) })
			}
		}})
	if err != nil {
		return exitOf(err)
	}
	find := a.World.Stepper.Action
	a.World.Stepper.Action = func(name, kind string, params jenner.Params) (string, act.Action, error) {
		full, action, err := find(name, kind, params)
		return full, at.traced(action), err
	}
	if err := a.Start(context.Background()); err != nil {
		return exitOf(err)
	}
	if err := over(a, ended); err != nil {
		return exitOf(err)
	}
	return exitOf(a.Stop())
}

func exitOf(err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(os.Stderr, err)
	return exitNo
}

// looked is for how long the service is watched where the incident had ended before this start, to see whether another
// one is opened. The intake looks at all alerts every second.
const looked = 1500 * time.Millisecond

// over waits until the incident has ended.
func over(a *app.App, ended <-chan struct{}) error {
	records, err := a.Store.List(context.Background(), loop.IncidentLine, sqlite.ListFilter{})
	if err != nil {
		return err
	}
	past := len(records) > 0
	for _, record := range records {
		past = past && record.Ended
	}
	started, deadline := time.Now(), time.After(2*time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-deadline:
			return fmt.Errorf("no incident has ended within two minutes")
		case <-ticker.C:
			state, _ := a.World.Telemetry.Probe("stock", jenner.AliveProbe)
			if past && state.At.Sub(started) > looked {
				return nil
			}
		}
	}
}
