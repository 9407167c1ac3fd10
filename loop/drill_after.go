package loop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/line"
)

// undoFaults takes everything back, whatever happened. A hold of the control arm is not released: it ends by itself within
// seconds, and until the probes have seen the undo, remediation would act on what is well by now.
func (l *Lab) undoFaults(ctx context.Context, step *drillStep) (line.Next, error) {
	if err := l.undoNow(ctx, step); err != nil {
		step.State.Residue = err.Error()
	}
	if !anyBegun(step.State) && step.State.Aborted != "" {
		return l.verdict(step), nil // nothing was broken, so that there is nothing to wait for
	}
	return line.Go(jenner.PhaseProveUndone), nil
}

// proveUndone waits until all is as it was: no incident open, nothing sick. What is not so in time was left behind.
func (l *Lab) proveUndone(ctx context.Context, step *drillStep) (line.Next, error) {
	drill := step.State
	trouble := l.trouble(ctx, drill.Present(), step.Now)
	if trouble == "" {
		// What was under way when the service recovered has ended by now, so the numbers are complete.
		drill.Rise = rise(drill.Before, l.measure(ctx, drill.Present()))
		return l.judged(ctx, step), nil
	}
	if drill.UndoneAt.IsZero() {
		drill.UndoneAt = step.Now
	}
	if step.Now.Sub(drill.UndoneAt) > settlePatience {
		wasWell := !drill.RecoveredAt.IsZero() || drill.Experiment.Expect.Outcome.Negative()
		if drill.Residue == "" && wasWell {
			drill.Residue = "not steady after the undo: " + trouble
		}
		return l.judged(ctx, step), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// judged goes on to the verdict. After a stage that came out as expected it is first looked whether the service stays
// steady.
func (l *Lab) judged(ctx context.Context, step *drillStep) line.Next {
	drill := step.State
	drill.Readings = l.readAfter(ctx, drill)
	if drill.Stage < len(drill.Experiment.Stages) && drill.Experiment.Stages[drill.Stage].SteadyFor > 0 && lastRound(drill) {
		if verdict, _ := chaos.Judge(l.facts(step)); verdict == drill.Experiment.ExpectedVerdict() {
			drill.SteadySince = step.Now
			return line.Go(jenner.PhaseStay)
		}
	}
	return l.verdict(step)
}

// stay waits for as long as the stage says that the service must stay steady.
func (l *Lab) stay(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	drill := step.State
	stage := drill.Experiment.Stages[drill.Stage]
	if trouble := l.trouble(ctx, drill.Present(), step.Now); trouble != "" {
		drill.Aborted = fmt.Sprintf("the service did not stay steady for %s: %s", stage.SteadyFor, trouble)
		step.Note("abort", drill.Aborted, nil)
		return l.verdict(step), nil
	}
	if step.Now.Sub(drill.SteadySince) >= stage.SteadyFor.Std() {
		return l.verdict(step), nil
	}
	return line.Later(step.Now.Add(quietLook)), nil
}

func lastRound(drill *jenner.Drill) bool { return drill.Round >= max(1, drill.Experiment.Repeat) }

// verdict judges what the round showed, keeps it, and begins the next round or stage, or ends the drill.
func (l *Lab) verdict(step *drillStep) line.Next {
	drill := step.State
	drill.EndedAt = step.Now
	l.letGo(step)
	facts := l.facts(step)
	verdict, reasons := chaos.Judge(facts)
	stage := ""
	if drill.Stage < len(drill.Experiment.Stages) {
		stage = drill.Experiment.Stages[drill.Stage].Name
		for i, reason := range reasons {
			reasons[i] = "stage " + stage + ": " + reason
		}
	}
	drill.Result = result(facts, verdict, reasons)
	drill.Result.Stage, drill.Result.Measured, drill.Result.Invariants = stage, drill.Rise, drill.Readings
	step.Note("verdict", fmt.Sprintf("%s: %s", verdict, strings.Join(reasons, "; ")), drill.Result)
	step.Audit("verdict", drill.Result)
	drill.Results = append(drill.Results, drill.Result)
	again, goesOn := nextRound(drill, step.Now)
	if !goesOn {
		drill.Overall = chaos.Overall(drill.Results)
	}
	step.Proof(l.proofs(drill, goesOn)...)
	if goesOn {
		*drill = again
		return line.Go(jenner.PhasePreflight)
	}
	if drill.Overall.Rounds > 1 {
		step.Note("overall", overallText(drill.Overall), drill.Overall)
	}
	step.Ledger(l.reservations(drill, step.Now)...)
	return line.End(jenner.PhaseVerdict)
}

// nextRound is the drill as its next round begins: of the same stage, or of the next one, which begins only where this
// one came out as expected.
func nextRound(drill *jenner.Drill, now time.Time) (jenner.Drill, bool) {
	round, stage := drill.Round+1, drill.Stage
	if lastRound(drill) {
		round, stage = 1, drill.Stage+1
	}
	staged := len(drill.Experiment.Stages) > 0
	switch {
	case drill.Aborted != "" || drill.Residue != "":
		return jenner.Drill{}, false
	case staged && drill.Result.Verdict != drill.Experiment.ExpectedVerdict():
		return jenner.Drill{}, false
	case stage > drill.Stage && stage >= len(drill.Experiment.Stages):
		return jenner.Drill{}, false
	}
	return jenner.Drill{ID: drill.ID, Experiment: drill.Experiment, Round: round, Stage: stage, StartedAt: now,
		Results: drill.Results, Versions: drill.Versions, Reserved: drill.Reserved}, true
}

// proofs are what a round proves. That a runbook heals is proved when all rounds of a stage have shown it, and not before;
// that it does not, by each round. Where nothing was to be healed, nothing is proved of the runbook but that it did harm.
func (l *Lab) proofs(drill *jenner.Drill, goesOn bool) []jenner.Proof {
	kept := *drill
	if goesOn && !lastRound(drill) && drill.Result.Verdict == jenner.VerdictProven {
		return nil
	}
	if lastRound(drill) {
		kept.Result.Verdict = chaos.Overall(ofStage(drill)).Verdict
	}
	if drill.Experiment.Expect.Outcome.Negative() && kept.Result.Verdict != jenner.VerdictHarmful {
		return nil
	}
	if kept.Result.Target == "" {
		kept.Result.Target = kept.Present().Expect.Target
	}
	if kept.Result.Target == "" {
		kept.Result.Target = kept.Present().Service
	}
	kept.Injected = slices.DeleteFunc(slices.Clone(kept.Injected), func(record jenner.FaultRecord) bool {
		return kept.Result.Verdict == jenner.VerdictProven && !overcame(drill, record.ID)
	})
	slices.SortStableFunc(kept.Injected, func(a, b jenner.FaultRecord) int { return strings.Compare(a.Fault, b.Fault) })
	kept.Injected = slices.CompactFunc(kept.Injected, func(a, b jenner.FaultRecord) bool { return a.Fault == b.Fault })
	return learn.ProofFrom(kept, l.Docs())
}

// overcame tells whether a fault was overcome, and not only outlasted.
func overcame(drill *jenner.Drill, record string) bool {
	return slices.ContainsFunc(drill.Hits, func(hit jenner.Hit) bool { return hit.Record == record && hit.Overcome })
}

// ofStage are the results of the rounds of the present stage.
func ofStage(drill *jenner.Drill) []jenner.DrillResult {
	return drill.Results[len(drill.Results)-min(drill.Round, len(drill.Results)):]
}

func overallText(overall jenner.Overall) string {
	text := fmt.Sprintf("%s: %d of %d rounds are PROVEN", overall.Verdict, overall.Proven, overall.Rounds)
	if times := overall.Recovered; times.Count > 0 {
		text += fmt.Sprintf("; recovered after %d ms in half of %d, %d ms in nine of ten, %d to %d ms in all", times.P50, times.Count,
			times.P90, times.Min, times.Max)
	}
	return text
}
