package loop_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/provider/sim"
)

// troubles are all kinds of trouble, in an order that does not change.
var troubles = []string{"kill", "hang", "break", "noise", "slow start", "failing start", "stuck", "returns", "storm", "blind",
	"stop", "jump", "crash", "die", "meddle", "heal", "drill"}

// trouble makes one trouble after the other until the world is to be calm.
func (s *simulation) trouble() {
	if s.calm {
		return
	}
	sum := 0
	for _, what := range troubles {
		sum += s.temper.weights[what]
	}
	at := s.chance.IntN(sum)
	for _, what := range troubles {
		if at -= s.temper.weights[what]; at < 0 {
			s.happen(what)
			break
		}
	}
	s.in(s.between(0, 2*s.temper.pause), s.trouble)
}

// later does something, unless the world is calm by then.
func (s *simulation) later(after time.Duration, do func()) {
	s.in(after, func() {
		if !s.calm {
			do()
		}
	})
}

// one is a service, and a target of it.
func (s *simulation) one() (jenner.Service, string) {
	service := pick(s, s.docs.Services...)
	return service, pick(s, service.Targets...).Name
}

func (s *simulation) set(name, knob, value string) {
	s.note("set %s %s %q", name, knob, value)
	if s.world.Knob(name, knob) != value {
		s.law.meddled(name, knob)
	}
	s.must(s.world.Set(name, knob, value))
}

func (s *simulation) happen(what string) {
	service, target := s.one()
	s.note("trouble: %s %s", what, target)
	switch what {
	case "kill":
		s.world.Kill(target)
	case "hang":
		s.world.Hang(target)
	case "break":
		s.set(target, sim.KnobBroken, "true")
		s.watch(service, "errors", func() bool { return s.world.Knob(target, sim.KnobBroken) == "true" })
		s.later(s.between(2*time.Second, 20*time.Second), func() { s.set(target, sim.KnobBroken, "") })
	case "noise":
		s.noise(service, 1+s.chance.IntN(4))
	case "slow start":
		s.set(target, sim.KnobStartTakes, fmt.Sprintf("%dms", s.chance.IntN(5000)))
	case "failing start":
		s.set(target, sim.KnobStartFails, fmt.Sprint(s.chance.IntN(4)))
	case "stuck":
		s.set(target, sim.KnobStuck, "true")
		s.later(s.between(time.Second, 30*time.Second), func() { s.set(target, sim.KnobStuck, "false") })
	case "returns":
		s.set(target, sim.KnobReturns, fmt.Sprintf("%dms", s.chance.IntN(4000)))
	case "storm":
		s.storm()
	case "blind":
		s.see(false)
		s.later(s.between(time.Second, 40*time.Second), func() { s.see(true) })
	case "stop":
		s.stop()
		s.later(s.between(50*time.Millisecond, 10*time.Second), s.resume)
	case "jump":
		s.jump()
	case "crash":
		if s.program != nil {
			s.program.kill()
			s.reboot()
		}
	case "die":
		s.fatal = 1 + s.chance.IntN(60)
	case "meddle":
		s.set(target, sim.FlagPrefix+pick(s, "shed", "one", "two", "mark", "useless"), fmt.Sprint("somebody-", s.chance.IntN(1000)))
	case "heal":
		s.come(service.Name)
	case "drill":
		s.drill(service)
	}
}

// storm breaks many at once.
func (s *simulation) storm() {
	share := s.chance.Float64()
	kind := pick(s, "kill", "hang", "noise")
	for _, service := range s.docs.Services {
		if !s.maybe(share) {
			continue
		}
		s.later(s.between(0, 300*time.Millisecond), func() {
			switch kind {
			case "kill":
				s.world.Kill(service.Targets[0].Name)
			case "hang":
				s.world.Hang(service.Targets[0].Name)
			case "noise":
				s.noise(service, 1)
			}
		})
	}
}

// noise is an alert of somebody else's about a service that is well. It flaps, and comes more than once.
func (s *simulation) noise(service jenner.Service, times int) {
	over := false
	s.watch(service, "noise", func() bool { return !over && !s.calm })
	s.in(s.between(20*time.Millisecond, 8*time.Second), func() {
		over = true
		if times > 1 && !s.calm {
			s.in(s.between(20*time.Millisecond, 2*time.Second), func() { s.noise(service, times-1) })
		}
	})
}

// watch is a rule of somebody else's: it tells again and again that an alert fires, as long as it does, and once or twice
// that it does so no more. What it tells comes late or not at all, where this history is of that kind.
func (s *simulation) watch(service jenner.Service, name string, firing func() bool) {
	status := jenner.Resolved
	if firing() {
		status = jenner.Firing
	}
	tell := func() {
		if s.program != nil {
			s.note("alert %s %s %s", service.Name, name, status)
			s.program.loop.Board.Put(jenner.Alert{Name: name, Kind: jenner.AlertRule, Service: service.Name, Target: service.Targets[0].Ref(),
				Status: status, Severity: jenner.SeverityPage, SeenAt: s.clock(), Summary: "told from outside"})
			s.program.listen()
		}
	}
	switch {
	case s.calm || !s.maybe(s.temper.astray):
		tell()
	case s.maybe(0.5):
		tell()
		s.in(s.between(0, 3*time.Second), tell)
	}
	if status == jenner.Firing || !s.calm && s.maybe(0.5) {
		s.in(s.between(300*time.Millisecond, 900*time.Millisecond), func() { s.watch(service, name, firing) })
	} else {
		s.in(5*time.Second, tell) // for the last time
	}
}

func (s *simulation) see(can bool) {
	s.blind = !can
	s.note("blind %t", s.blind)
	if s.program != nil {
		s.program.telemetry.Blind(s.blind)
	}
}

// stop pulls the kill switch.
func (s *simulation) stop() {
	s.note("stop")
	s.stopped, s.stoppedAt = &jenner.Hold{Scope: jenner.HoldAll, By: "somebody", At: s.clock()}, time.Now()
	if s.program != nil {
		s.program.executor.Halt(*s.stopped)
		s.cancelled()
	}
}

// stoppedFor is how long the kill switch has been on.
func (s *simulation) stoppedFor() time.Duration { return time.Since(s.stoppedAt) }

func (s *simulation) resume() {
	s.note("resume")
	s.stopped = nil
}

// jump moves Jenner's clock.
func (s *simulation) jump() {
	by := s.between(time.Millisecond, pick(s, time.Second, time.Minute, 20*time.Minute))
	if s.maybe(0.5) {
		by = -s.between(time.Millisecond, pick(s, 100*time.Millisecond, 3*time.Second)) // what waits is looked at often meanwhile
	}
	if jumped := s.offset + by; jumped.Abs() < time.Hour {
		s.offset = jumped
		s.law.jumped = true
		s.note("the clock jumps by %s", by)
	}
}

// reboot starts Jenner again after a while.
func (s *simulation) reboot() {
	s.deaths++
	s.fatal = 0
	s.in(s.between(10*time.Millisecond, pick(s, 100*time.Millisecond, 2*time.Second, 2*time.Second, 45*time.Second)), s.boot)
}

func (s *simulation) drill(service jenner.Service) {
	if s.program == nil {
		return
	}
	for _, experiment := range s.docs.Experiments {
		if experiment.Service == service.Name && len(s.law.openOf(loop.DrillLine)) == 0 {
			p := s.program
			drill := p.lab.NewDrill(experiment, s.clock())
			s.note("drill %v", p.drills.Create(p.ctx, drill.ID, service.Name, drill))
		}
	}
}

// come is what a person does who was told: everything that the service needs is put right by hand.
func (s *simulation) come(name string) {
	service, _ := s.docs.Service(name)
	for _, needed := range service.DependsOn {
		s.come(needed)
	}
	for _, target := range service.Targets {
		s.repair(target.Name)
	}
}

func (s *simulation) repair(target string) {
	for _, knob := range []string{sim.KnobBroken, sim.KnobStuck, sim.KnobStartFails, sim.KnobStartTakes, sim.KnobReturns} {
		if s.world.Knob(target, knob) != "" {
			s.set(target, knob, "")
		}
	}
	if !s.world.Busy(target) {
		s.startByHand(target)
	}
}

func (s *simulation) startByHand(target string) {
	if s.world.State(target) != "running" {
		s.note("started by hand %s", target)
		s.law.meddled(target, "")
		s.world.Start(target)
	}
}

// asked lets people answer a request: with yes or no, late, twice, or not at all; and some whose word does not count.
func (s *simulation) asked(request jenner.Request) {
	for range s.chance.IntN(4) {
		vote := jenner.Vote{Request: request.ID, Person: pick(s, "ann", "bob", "eve"), Yes: s.maybe(0.8)}
		after := s.between(10*time.Millisecond, pick(s, time.Second, 10*time.Second, time.Minute))
		cast := func() {
			vote.At = s.clock()
			s.note("vote %s %s %t", vote.Request, vote.Person, vote.Yes)
			s.must(s.kept.PutVote(context.Background(), vote))
			s.law.voted(vote)
		}
		s.in(after, cast)
		if s.maybe(0.3) {
			s.in(after+s.between(0, time.Second), cast)
		}
	}
}

// calmDown heals everything and makes no more trouble.
func (s *simulation) calmDown() {
	s.calm, s.law.calmSince, s.fatal = true, time.Now(), 0
	s.note("calm")
	s.resume()
	s.see(true)
	s.heal()
}

// heal does again and again what people do when nobody else did.
func (s *simulation) heal() {
	for _, service := range s.docs.Services {
		for _, target := range service.Targets {
			s.repair(target.Name)
		}
	}
	s.in(5*time.Second, s.heal)
}
