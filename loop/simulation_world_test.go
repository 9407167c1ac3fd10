package loop_test

import (
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/provider/sim"
)

// temper is what kind of history it is: how often what happens.
type temper struct {
	pause   time.Duration // the mean time between two troubles
	slow    float64       // the share of commits that take a while
	astray  float64       // the share of answers of probes that come late, twice or not at all
	weights map[string]int
}

const probeEvery = 250 * time.Millisecond

// invent makes the world and the files, and begins the trouble.
func (s *simulation) invent() {
	s.temper = temper{pause: s.between(100*time.Millisecond, 1500*time.Millisecond), astray: pick(s, 0, 0.05, 0.3), slow: pick(s, 0, 0.1, 0.5),
		weights: map[string]int{"kill": 40, "hang": 12, "break": 15, "noise": 30, "slow start": 6, "failing start": 6, "stuck": 2,
			"returns": 4, "storm": 4, "blind": 1, "stop": 2, "jump": 1, "crash": 2, "die": 4, "meddle": 10, "heal": 10, "drill": 1}}
	for _, what := range troubles {
		s.temper.weights[what] *= pick(s, 0, 1, 1, 2) // each history has something that it has much of, and lacks something
	}
	s.temper.weights["kill"] += 10
	s.workers = pick(s, 1, 2, 4, 8)
	s.docs = &jenner.Documents{Signatures: s.signatures(), Runbooks: s.runbooks(), Policies: s.policies(),
		Limits: jenner.Limits{MaxTargetsAtOnce: pick(s, 0, 2, 3, 5), MaxTargetsOfService: pick(s, 0, 1, 2)}}
	s.services(pick(s, 3, 5, 8, 12))
	s.experiments()
	s.trouble()
}

func (s *simulation) services(count int) {
	for i := count - 1; i >= 0; i-- { // each may need those made before it
		name := fmt.Sprintf("s%d", i)
		service := jenner.Service{Name: name, Tier: 1}
		var needs []string
		for j := i + 1; j < count; j++ {
			if s.maybe(0.12) && len(needs) < 2 {
				needs = append(needs, fmt.Sprintf("s%d", j))
			}
		}
		service.DependsOn = needs
		targets := []string{name}
		if s.maybe(0.3) { // the service itself is then what stands before its targets, and never dies
			targets = nil
			for n := range 2 + s.chance.IntN(3) {
				targets = append(targets, fmt.Sprintf("%s-%d", name, n))
				s.world.Add(targets[n])
			}
			needs = append(needs, targets...)
		}
		s.world.Add(name, needs...)
		for _, target := range targets {
			service.Targets = append(service.Targets, s.world.Target(target))
		}
		service.Probes = []jenner.Probe{{Name: "ready", Kind: "answer", Params: jenner.Params{"world": service.Targets[0].Params["world"]},
			Every: jenner.Duration(probeEvery), Slow: jenner.Duration(100 * time.Millisecond)}}
		s.docs.Services = append(s.docs.Services, service)
	}
}

func (s *simulation) signatures() []jenner.Signature {
	return []jenner.Signature{
		{Name: "crashed", Cause: "crashed", Evidence: []jenner.EvidencePattern{{Process: "gone", Weight: 9}, {Probe: "ready", Is: "failing", Weight: 1}}},
		{Name: "hung", Cause: "hung", Evidence: []jenner.EvidencePattern{{Probe: "ready", Is: "failing", Weight: 9},
			{Process: "alive", For: jenner.Duration(time.Second), Weight: 9}, {Dependency: "healthy", Weight: 2}}},
		{Name: "broken", Cause: "broken", Evidence: []jenner.EvidencePattern{{Alert: "errors", Weight: 9}}},
		{Name: "noise", Cause: "noise", Evidence: []jenner.EvidencePattern{{Alert: "noise", Weight: 9}}},
	}
}

// runbooks are of every kind: with retries, conditions, limits, waits, undo of the actions' own and of the runbook's.
func (s *simulation) runbooks() []jenner.Runbook {
	knob := func(name, value string) jenner.Params {
		return jenner.Params{"knob": jenner.Raw(name), "value": jenner.Raw(value)}
	}
	patience := jenner.Duration(s.between(3*time.Second, 20*time.Second))
	restart := jenner.Step{Name: "again", Action: "restart", Timeout: patience}
	if s.maybe(0.5) {
		restart.Retry = &jenner.Retry{Attempts: 2 + s.chance.IntN(2), Delay: jenner.Duration(s.between(100*time.Millisecond, time.Second))}
	}
	if s.maybe(0.3) {
		one := 1
		restart.BlastRadius = jenner.BlastRadius{"max_targets": {Count: &one}}
	}
	answers := jenner.Step{Name: "answers", Action: "await", Timeout: jenner.Duration(time.Minute), Params: jenner.Params{
		"timeout": jenner.Raw(jenner.Duration(s.between(time.Second, 6*time.Second).Round(time.Millisecond)))}}
	set := func(step, name, value string) jenner.Step {
		return jenner.Step{Name: step, Action: "set", Params: knob(name, value)}
	}
	explicit := set("mark", "flag:mark", "on")
	explicit.Undo = &jenner.UndoStep{Action: "set", Params: knob("flag:mark", "taken-back")}
	late := set("late", "flag:late", "on")
	late.Condition = "answers.failed"
	return []jenner.Runbook{
		{Name: "restart", Steps: []jenner.Step{restart}},
		{Name: "restart-await", Steps: []jenner.Step{restart, answers}},
		{Name: "shed", Steps: []jenner.Step{set("shed", "flag:shed", "on"), restart, set("full", "flag:shed", "off")}},
		{Name: "saga", Steps: []jenner.Step{set("one", "flag:one", "on"), set("two", "flag:two", "on"), explicit, answers}},
		{Name: "bounce", Steps: []jenner.Step{{Name: "down", Action: "stop"}, {Name: "up", Action: "start", Timeout: patience}, answers, late}},
		{Name: "repair", Steps: []jenner.Step{set("repair", sim.KnobBroken, "false")}},
		{Name: "useless", Steps: []jenner.Step{set("useless", "flag:useless", "on")}},
		{Name: "mitigate", Steps: []jenner.Step{set("repair", sim.KnobBroken, "false"), set("flag", "flag:mitigated", "on")},
			RevertWhen: `flagged > 0`},
	}
}

func (s *simulation) policies() []jenner.Policy {
	books := map[jenner.Cause][]string{"crashed": {"restart", "restart-await", "shed", "bounce", "saga", "useless"},
		"hung": {"restart", "restart-await", "shed", "bounce", "useless"}, "broken": {"repair", "saga", "useless"},
		"noise": {"useless", "saga", "bounce"}}
	var policies []jenner.Policy
	for _, cause := range []jenner.Cause{"crashed", "hung", "broken", "noise"} {
		policy := jenner.Policy{Name: string(cause), IncidentType: cause, Mode: jenner.ModeAuto, ConfidenceThreshold: 0.9,
			MaxAttempts: 2 + s.chance.IntN(4), AttemptsResetAfter: jenner.Duration(s.between(time.Second, 30*time.Second)),
			CooldownAfterAction: jenner.Duration(s.between(100*time.Millisecond, 3*time.Second)),
			VerificationWindow:  jenner.Duration(s.between(1500*time.Millisecond, 4*time.Second)),
			StableFor:           jenner.Duration(s.between(50*time.Millisecond, 300*time.Millisecond)), RollbackIfFailed: s.maybe(0.7)}
		if s.maybe(0.15) {
			policy.Mode = pick(s, jenner.ModeShadow, jenner.ModeRecommend)
		} else if s.maybe(0.25) {
			policy.Mode = jenner.ModeApprove
			policy.Approval = &jenner.Approval{By: []string{"ann", "bob"}, Count: 1 + s.chance.IntN(2),
				Expires: jenner.Duration(s.between(5*time.Second, time.Minute))}
		}
		if s.maybe(0.3) {
			most := pick(s, 0, 1, 1, 1) // none at all is what people write who want to be told only
			policy.BlastRadius = jenner.BlastRadius{"max_targets": {Count: &most}}
		}
		if s.maybe(0.2) {
			policy.MaxConcurrent = 1 + s.chance.IntN(2)
		}
		policy.Runbooks = []string{pick(s, books[cause]...), pick(s, books[cause]...)}
		policies = append(policies, policy)
	}
	return policies
}

func (s *simulation) experiments() {
	for _, service := range s.docs.Services {
		fault := jenner.FaultSpec{Fault: pick(s, "kill", "hang"), Target: service.Targets[0].Name}
		if s.maybe(0.2) {
			fault = jenner.FaultSpec{Fault: "slow", Target: service.Targets[0].Name, Params: jenner.Params{"latency": jenner.Raw("400ms")}}
		}
		s.docs.Experiments = append(s.docs.Experiments, jenner.Experiment{Name: "break-" + service.Name, Hypothesis: "it is healed",
			Service: service.Name, Faults: []jenner.FaultSpec{fault}, Control: s.maybe(0.5), ControlFor: jenner.Duration(500 * time.Millisecond),
			Timeout: jenner.Duration(s.between(5*time.Second, 20*time.Second)), Lease: jenner.Duration(s.between(time.Second, 4*time.Second))})
	}
}
