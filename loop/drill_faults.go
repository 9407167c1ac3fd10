package loop

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/line"
)

// aim chooses the targets of the present round, once: both arms hit the same ones. The seed comes from the drill's id, so
// that whoever has the record can draw again.
func (l *Lab) aim(drill *jenner.Drill) error {
	if len(drill.Hits) > 0 {
		return nil
	}
	experiment := drill.Present()
	at, _ := l.Docs().Service(experiment.Service)
	seed := fnv.New32a()
	fmt.Fprintf(seed, "%s/%d", drill.ID, drill.Round)
	drill.Seed = uint64(seed.Sum32())
	for i, spec := range experiment.Faults {
		hits, err := l.targets(spec, at)
		if err != nil {
			return fmt.Errorf("nothing is injected: %w", err)
		}
		if !spec.Pick.IsZero() {
			var picked []jenner.Hit
			for _, place := range jenner.Draw(len(hits), spec.Pick.Of(len(hits), spec.Most()), drill.Seed, uint64(i)) {
				picked = append(picked, hits[place])
			}
			hits = picked
		}
		if len(hits) == 0 {
			return fmt.Errorf("nothing is injected: %s picks no target, and none is never all", spec.Fault)
		}
		for _, hit := range hits {
			hit.Fault = i
			drill.Hits = append(drill.Hits, hit)
		}
	}
	return l.tooMany(drill.Hits)
}

// tooMany refuses what would never fit within the limits of the files, however long it waited.
func (l *Lab) tooMany(hits []jenner.Hit) error {
	limits, places, ofService := l.Docs().Limits, map[jenner.Hit]bool{}, map[string]int{}
	for _, hit := range hits {
		place := jenner.Hit{Service: hit.Service, Target: hit.Target}
		if !places[place] {
			places[place] = true
			ofService[hit.Service]++
		}
	}
	for _, service := range slices.Sorted(maps.Keys(ofService)) {
		if count := ofService[service]; count > limits.OfService() {
			return fmt.Errorf("nothing is injected: %d targets of %s would be hit, and max_targets_of_service is %d", count, service, limits.OfService())
		}
	}
	if len(places) > limits.AtOnce() {
		return fmt.Errorf("nothing is injected: %d targets would be hit, and max_targets_at_once is %d", len(places), limits.AtOnce())
	}
	return nil
}

// targets are those that a fault names, or where it picks some of several, all that it may pick from: the targets of the
// service whose kind the fault is for.
func (l *Lab) targets(spec jenner.FaultSpec, at jenner.Service) ([]jenner.Hit, error) {
	docs, of := l.Docs(), spec.Of
	if of == "" {
		of = spec.Target
	}
	service, known := docs.Service(of)
	if spec.Of != "" && !known {
		return nil, fmt.Errorf("there is no service %q to pick targets of", spec.Of)
	}
	if spec.Pick.IsZero() || !known {
		owner, target, err := docs.Target(spec.Target, at)
		return []jenner.Hit{{Service: owner.Name, Target: target.Ref()}}, err
	}
	var hits []jenner.Hit
	var unfit error
	for _, target := range service.Targets {
		if _, _, err := l.Injector.Build(spec.Fault, target.Kind, spec.Params); err != nil {
			unfit = errors.Join(unfit, fmt.Errorf("%s: %w", target.Ref(), err))
			continue
		}
		hits = append(hits, jenner.Hit{Service: service.Name, Target: target.Ref()})
	}
	if len(hits) == 0 {
		return nil, errors.Join(fmt.Errorf("service %s has no target for %s, and none is never all", service.Name, spec.Fault), unfit)
	}
	return hits, nil
}

// claim takes the targets of the faults before they are broken, within the limits that remediation and chaos share. It is
// committed before the first fault.
func (l *Lab) claim(step *drillStep, arm string) {
	drill := step.State
	drill.Arm, drill.InjectedAt = arm, step.Now
	for i, hit := range drill.Hits {
		drill.Hits[i] = jenner.Hit{Fault: hit.Fault, Service: hit.Service, Target: hit.Target}
	}
	l.reserve(step)
	entries := l.faultEntries(drill, step.Now.Add(l.longest(drill.Present())))
	step.Ledger(entries...)
	limits := l.Docs().Limits
	if len(entries) > 0 {
		step.Caps(jenner.Cap{Scope: jenner.CapAll, Max: limits.AtOnce()})
	}
	for _, entry := range entries {
		step.Caps(jenner.Cap{Scope: jenner.CapService, Name: entry.Service, Max: limits.OfService()})
	}
}

// faultEntries are the ledger's entries of the present arm, which hold each of the targets until a time, or until its
// fault's own end.
func (l *Lab) faultEntries(drill *jenner.Drill, until time.Time) []jenner.LedgerEntry {
	var entries []jenner.LedgerEntry
	for i, hit := range drill.Hits {
		entry := jenner.LedgerEntry{ID: fmt.Sprintf("%s/%s/%d/%d", drill.ID, drill.Arm, run(drill), i), Kind: jenner.LedgerFault,
			At: drill.InjectedAt, Until: until, By: drill.ID, Service: hit.Service, Target: hit.Target}
		if !hit.EndedAt.IsZero() {
			entry.Until = hit.EndedAt
		}
		entries = append(entries, entry)
	}
	return entries
}

// run counts the rounds of all stages together, from 1 on.
func run(drill *jenner.Drill) int { return len(drill.Results) + 1 }

// advance does what is due of the faults: it injects those whose time has come, each only while no abort condition holds,
// looks for the witness of those that have not been seen to work, and takes back those whose time is over.
func (l *Lab) advance(ctx context.Context, step *drillStep) (line.Next, bool) {
	drill, experiment := step.State, step.State.Present()
	for i := range drill.Hits {
		spec, hit := experiment.Faults[drill.Hits[i].Fault], &drill.Hits[i]
		if hit.Record != "" || l.Now().Sub(drill.InjectedAt) < spec.After.Std() {
			continue
		}
		if next, stop := l.guarded(ctx, step); stop {
			return next, true
		}
		if err := l.strike(ctx, step, i, spec); err != nil {
			return l.abort(step, err.Error()), true
		}
	}
	l.witness(ctx, drill)
	for i := range drill.Hits {
		spec, hit := experiment.Faults[drill.Hits[i].Fault], &drill.Hits[i]
		over := spec.For > 0 && hit.Record != "" && hit.EndedAt.IsZero() && l.Now().Sub(hit.InjectedAt) >= spec.For.Std()
		if !over {
			continue
		}
		if err := l.expire(ctx, step, hit); err != nil {
			return l.abort(step, err.Error()), true
		}
	}
	return line.Next{}, false
}

// strike injects the fault of one hit.
func (l *Lab) strike(ctx context.Context, step *drillStep, i int, spec jenner.FaultSpec) error {
	drill, hit := step.State, &step.State.Hits[i]
	service, known := l.Docs().Service(hit.Service)
	target, has := service.TargetNamed(hit.Target.Name)
	if !known || !has {
		return fmt.Errorf("target %s of service %s is not in the files any more", hit.Target, hit.Service)
	}
	record, err := l.Injector.Inject(ctx, jenner.FaultRecord{ID: fmt.Sprintf("%s-%s-%d-%d", step.ID, drill.Arm, run(drill), i),
		Drill: step.ID, Fault: spec.Fault, Params: spec.Params, Service: service, Target: target}, l.lease(step))
	if err != nil {
		return err
	}
	hit.Record, hit.InjectedAt = record.ID, l.Now()
	drill.Faults = append(drill.Faults, record)
	if drill.Arm == "treatment" {
		drill.Injected = append(drill.Injected, record)
	}
	step.Note("inject", fmt.Sprintf("%s on %s (%s arm)", record.Fault, target.Ref(), drill.Arm), record)
	step.Audit("fault.injected", record)
	return nil
}

// witness asks the faults that were not seen to work yet for their witnesses.
func (l *Lab) witness(ctx context.Context, drill *jenner.Drill) {
	for i, hit := range drill.Hits {
		at := slices.IndexFunc(drill.Faults, func(record jenner.FaultRecord) bool { return record.ID == hit.Record })
		if at < 0 || !hit.BitAt.IsZero() {
			continue
		}
		if witness, err := l.Injector.Bite(ctx, drill.Faults[at]); err == nil && witness.Bit {
			drill.Hits[i].BitAt, drill.Hits[i].Saw = l.Now(), witness.Saw
		}
	}
}

// expire takes a fault back whose time is over, and keeps whether somebody had removed it before.
func (l *Lab) expire(ctx context.Context, step *drillStep, hit *jenner.Hit) error {
	drill := step.State
	at := slices.IndexFunc(drill.Faults, func(record jenner.FaultRecord) bool { return record.ID == hit.Record })
	if at < 0 {
		return fmt.Errorf("fault %s is not among those that hold", hit.Record)
	}
	record := drill.Faults[at]
	during, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	holds, err := l.Injector.Armed(during, record)
	hit.Gone = err == nil && !holds
	if err := l.Injector.Undo(during, record); err != nil {
		return fmt.Errorf("%s on %s could not be taken back after its time: %w", record.Fault, record.Target.Ref(), err)
	}
	hit.EndedAt = l.Now()
	drill.Faults = slices.Delete(drill.Faults, at, at+1)
	step.Note("undo", record.Fault+" on "+record.Target.Ref().String()+" is gone, for its time is over", nil)
	step.Audit("fault.undone", record)
	step.Ledger(l.faultEntries(drill, drill.InjectedAt.Add(l.longest(drill.Present())))...)
	return nil
}

// begun tells whether every fault of the present arm has been injected.
func begun(drill *jenner.Drill) bool {
	return !slices.ContainsFunc(drill.Hits, func(hit jenner.Hit) bool { return hit.Record == "" })
}

// bitten tells whether every fault of the present arm has been seen to work, and what saw it.
func bitten(drill *jenner.Drill) (bool, string) {
	var saw []string
	for _, hit := range drill.Hits {
		if hit.BitAt.IsZero() {
			return false, ""
		}
		saw = append(saw, hit.Saw)
	}
	return len(saw) > 0, strings.Join(saw, "; ")
}

// toothless tells whether a fault of the present arm was injected a while ago, and no witness has seen it work.
func (l *Lab) toothless(drill *jenner.Drill) bool {
	return slices.ContainsFunc(drill.Hits, func(hit jenner.Hit) bool {
		return hit.Record != "" && hit.BitAt.IsZero() && l.Now().Sub(hit.InjectedAt) > l.bitesWithin(drill, hit)
	})
}

// bitesWithin is how long a fault may take until its witness sees it work.
func (l *Lab) bitesWithin(drill *jenner.Drill, hit jenner.Hit) time.Duration {
	at := slices.IndexFunc(drill.Faults, func(record jenner.FaultRecord) bool { return record.ID == hit.Record })
	if at < 0 {
		return biteFor
	}
	return max(biteFor, l.Injector.BitesWithin(drill.Faults[at]))
}

// undoPatience is how long the undo of all faults of an arm may take. What is left is the reaper's.
const undoPatience = time.Minute

// undoNow takes all faults of the present arm back, the last one first, for each found the target as the one before had
// left it. One that cannot be taken back keeps none of the others from it.
func (l *Lab) undoNow(ctx context.Context, step *drillStep) error {
	drill := step.State
	during, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	var left []jenner.FaultRecord
	var failed error
	for _, record := range slices.Backward(drill.Faults) {
		if err := l.Injector.Undo(during, record); err != nil {
			left, failed = append(left, record), errors.Join(failed, err)
			continue
		}
		step.Note("undo", record.Fault+" on "+record.Target.Ref().String()+" is gone", nil)
		step.Audit("fault.undone", record)
	}
	slices.Reverse(left)
	drill.Faults = left
	if failed != nil {
		return failed
	}
	if drill.Arm != "" {
		step.Ledger(l.faultEntries(drill, step.Now)...)
	}
	drill.UndoneAt = step.Now
	return nil
}

// overcome tells how the faults stood when the service was well again: all removed by the runbook, or still armed, but for
// those that were removed. One is removed where it does not hold any more and the run changed the very target it was on. One
// whose time was over before the last one came says nothing about what was healed in the end, and does not count.
func (l *Lab) overcome(ctx context.Context, drill *jenner.Drill, incidents []sighting) (armed, removed bool) {
	armed, removed = true, true
	latest := latestInjection(drill)
	for i, hit := range drill.Hits {
		if !hit.EndedAt.IsZero() && !hit.EndedAt.After(latest) {
			continue
		}
		holds, gone := false, hit.Gone
		at := slices.IndexFunc(drill.Faults, func(record jenner.FaultRecord) bool { return record.ID == hit.Record })
		if at >= 0 {
			still, err := l.Injector.Armed(ctx, drill.Faults[at])
			holds, gone = err == nil && still, err == nil && !still
		}
		gone = gone && changed(incidents, hit.Target)
		drill.Hits[i].Overcome = holds || gone
		armed, removed = armed && (holds || gone), removed && gone
	}
	return armed && !removed, removed
}

// latestInjection is when the last of the faults came.
func latestInjection(drill *jenner.Drill) time.Time {
	var latest time.Time
	for _, hit := range drill.Hits {
		if hit.InjectedAt.After(latest) {
			latest = hit.InjectedAt
		}
	}
	return latest
}

func changed(incidents []sighting, target jenner.TargetRef) bool {
	for _, one := range incidents {
		for _, run := range one.Runs {
			for _, record := range run.Steps {
				if record.Changed && record.Target == target {
					return true
				}
			}
		}
	}
	return false
}
