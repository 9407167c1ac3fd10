package diagnose

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/jenner-heal/jenner"
)

// bySignature holds every signature that picks the root against the world. Those of which nothing matched are left out.
func (w world) bySignature(ctx context.Context, root string) []candidate {
	service := w.service(root)
	var found []candidate
	for _, signature := range w.in.Signatures {
		if !signature.Services.Picks(service) {
			continue
		}
		one := candidate{cause: jenner.RankedCause{Cause: signature.Cause, Signature: signature.Name, Service: root}}
		for _, pattern := range signature.Evidence {
			evidence, target := w.hold(ctx, service, pattern)
			one.cause.Evidence = append(one.cause.Evidence, evidence)
			one.total += evidence.Weight
			if evidence.Finding == jenner.Matched {
				one.matched += evidence.Weight
			}
			if one.cause.Target == (jenner.TargetRef{}) {
				one.cause.Target = target
			}
		}
		if one.matched == 0 {
			continue
		}
		if one.cause.Target == (jenner.TargetRef{}) {
			one.cause.Target = w.target(service)
		}
		found = append(found, one)
	}
	return found
}

// byTrigger gives the runbooks whose own trigger fires for the root.
func (w world) byTrigger(root string) []candidate {
	var found []candidate
	for _, runbook := range w.in.Triggers {
		for _, alert := range w.firing(root) {
			if runbook.Trigger == nil || alert.Kind != jenner.AlertTrigger || alert.Name != runbook.Name {
				continue
			}
			confidence, said := runbook.Trigger.Confidence, "as the trigger says"
			if confidence == 0 {
				confidence, said = DefaultTriggerConfidence, "medium, as the trigger does not say"
			}
			target := alert.Target
			if target == (jenner.TargetRef{}) {
				target = w.target(w.service(root))
			}
			found = append(found, candidate{matched: 1, total: 1, cause: jenner.RankedCause{
				Cause: jenner.Cause(runbook.Name), Signature: runbook.Name, Service: root, Target: target,
				Confidence: confidence,
				Formula:    figure(float64(confidence)) + ", " + said,
				Evidence: []jenner.Evidence{{What: "trigger: " + runbook.Trigger.Alert, Finding: jenner.Matched,
					Weight: 1, Saw: w.sawAlert(alert)}},
			}})
			break
		}
	}
	return found
}

func (w world) service(name string) jenner.Service {
	service := w.in.Services[name]
	service.Name = name
	return service
}

// target is what a cause concerns where its evidence does not say: what the first alert names, or the first target.
func (w world) target(service jenner.Service) jenner.TargetRef {
	for _, alert := range w.firing(service.Name) {
		if alert.Target != (jenner.TargetRef{}) {
			return alert.Target
		}
	}
	if len(service.Targets) > 0 {
		return service.Targets[0].Ref()
	}
	return jenner.TargetRef{}
}

// verdict is what one pattern came to: the finding, what was seen, and the target where the evidence names one.
type verdict struct {
	finding jenner.Finding
	saw     string
	target  jenner.TargetRef
}

func missing(saw string, args ...any) verdict {
	return verdict{finding: jenner.Missing, saw: fmt.Sprintf(saw, args...)}
}

func found(matched bool, saw string, args ...any) verdict {
	if matched {
		return verdict{finding: jenner.Matched, saw: fmt.Sprintf(saw, args...)}
	}
	return verdict{finding: jenner.NotMatched, saw: fmt.Sprintf(saw, args...)}
}

// hold holds one pattern against the world. A pattern that cannot be judged is missing evidence, with the reason.
func (w world) hold(ctx context.Context, service jenner.Service, pattern jenner.EvidencePattern) (jenner.Evidence, jenner.TargetRef) {
	weight := float64(pattern.Weight)
	if weight == 0 {
		weight = 1
	}
	result := verdict{}
	if weight < 0 || math.IsNaN(weight) || math.IsInf(weight, 0) {
		result = missing("the weight %v cannot be used; write a number above 0", weight)
		weight = 1
	} else {
		result = w.judge(ctx, service, pattern)
	}
	return jenner.Evidence{What: what(pattern), Finding: result.finding, Weight: weight, Saw: result.saw}, result.target
}

func (w world) judge(ctx context.Context, service jenner.Service, pattern jenner.EvidencePattern) verdict {
	switch {
	case pattern.Alert != "":
		return w.judgeAlert(service, pattern.Alert)
	case pattern.PromQL != "":
		return w.judgePromQL(ctx, service, pattern.PromQL)
	case pattern.Probe != "":
		return w.judgeProbe(service, pattern.Probe, pattern.Is, pattern.For)
	case pattern.Process != "":
		return w.judgeProcess(service, pattern.Process, pattern.For)
	case pattern.Dependency != "":
		return w.judgeDependency(service, pattern.Dependency)
	case pattern.Log != "":
		return missing("no source of logs is connected")
	case pattern.Changed != "":
		return w.judgeChanged(service, jenner.ChangeKind(pattern.Changed), pattern.Within.Or(changedWithin))
	case pattern.Event != "":
		return w.judgeEvent(service, pattern.Event)
	}
	return missing("the pattern does not say what to look for")
}

// what is the pattern as people write it.
func what(p jenner.EvidencePattern) string {
	var parts []string
	for _, part := range [][2]string{{"alert", p.Alert}, {"promql", p.PromQL}, {"log", p.Log}, {"probe", p.Probe},
		{"is", p.Is}, {"process", p.Process}, {"dependency", p.Dependency}, {"changed", p.Changed}, {"event", p.Event}} {
		if part[1] != "" {
			parts = append(parts, part[0]+": "+part[1])
		}
	}
	if p.For != 0 {
		parts = append(parts, "for: "+p.For.String())
	}
	if p.Within != 0 {
		parts = append(parts, "within: "+p.Within.String())
	}
	return strings.Join(parts, ", ")
}

func figure(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
