package act

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// Surveyed is one step of a runbook as it would be done now, on the live target, with nothing changed.
type Surveyed struct {
	Step       string
	Action     string // the full name
	Service    jenner.Service
	Target     jenner.Target // zero for actions that need none
	Params     jenner.Params
	Reads      bool   // it changes nothing
	Size       Size   // the zero value where the action touches its one target
	Controller string // owns what would be changed; empty: nobody
	Through    string // the controller that the step acts through

	radius jenner.BlastRadius // of the step
}

// Survey looks at what a runbook would touch for an incident, step by step. Conditions are not evaluated: what a step
// may touch counts. An error says that it cannot be told, and is retryable where that may pass.
func (s *Stepper) Survey(ctx context.Context, incident *jenner.Incident, book jenner.Runbook, target jenner.TargetRef) ([]Surveyed, error) {
	surveyed := make([]Surveyed, 0, len(book.Steps))
	for _, step := range book.Steps {
		one, action, err := s.surveyed(incident, step, target)
		if err != nil {
			return nil, jenner.Permanent(fmt.Errorf("step %s of %s: %w", step.Name, book.Name, err), "")
		}
		call := Call{Step: step.Name, Incident: incident.ID, Service: one.Service, Target: one.Target, Host: s.Host(incident)}
		if err := one.look(ctx, action, call); err != nil {
			return nil, fmt.Errorf("step %s of %s: %w", step.Name, book.Name, err)
		}
		surveyed = append(surveyed, one)
	}
	return surveyed, nil
}

func (s *Stepper) surveyed(incident *jenner.Incident, step jenner.Step, target jenner.TargetRef) (Surveyed, Action, error) {
	service, on, err := s.targetOf(incident, target, step.Target)
	if err != nil {
		return Surveyed{}, nil, err
	}
	full, action, err := s.Action(step.Action, on.Kind, step.Params)
	if err != nil {
		return Surveyed{}, nil, err
	}
	_, reads := action.(Reader)
	return Surveyed{Step: step.Name, Action: full, Service: service, Target: on, Params: step.Params, Reads: reads,
		Controller: on.ManagedBy, Through: step.Through, radius: step.BlastRadius}, action, nil
}

// look asks the action about the live target.
func (s *Surveyed) look(ctx context.Context, action Action, call Call) error {
	if s.Reads {
		s.Controller = ""
		return nil
	}
	if sizer, ok := action.(Sizer); ok {
		size, err := sizer.Size(ctx, call)
		if err != nil {
			return jenner.Retryable(fmt.Errorf("cannot tell how much %s would touch: %w", s.Action, err), "")
		}
		if limit, limited := s.radius["max_"+size.Unit]; limited && size.Bounded {
			size.Want = min(size.Want, limit.Of(size.Total))
		}
		s.Size = size
	}
	if owner, ok := action.(Owner); ok {
		controller, err := owner.Owner(ctx, call)
		if err != nil {
			return jenner.Retryable(fmt.Errorf("cannot tell who owns what %s would change: %w", s.Action, err), "")
		}
		if controller != "" {
			s.Controller = controller
		}
	}
	return nil
}

// Foresee keeps the state before changes that are proposed and not done, so that Alike can tell later whether somebody
// else did the same. Steps whose state cannot be read are left out.
func (s *Stepper) Foresee(ctx context.Context, incident *jenner.Incident, surveyed []Surveyed) []jenner.ForeseenStep {
	var foreseen []jenner.ForeseenStep
	for _, one := range surveyed {
		if one.Reads {
			continue
		}
		_, action, err := s.Action(one.Action, one.Target.Kind, one.Params)
		if err != nil {
			continue
		}
		step := jenner.ForeseenStep{Step: one.Step, Action: one.Action, Service: one.Service.Name, Target: one.Target, Params: one.Params}
		if keeper, ok := action.(Checkpointer); ok {
			call := Call{Step: one.Step, Incident: incident.ID, Service: one.Service, Target: one.Target, Host: s.Host(incident)}
			if step.Checkpoint, err = keeper.Checkpoint(ctx, call); err != nil {
				continue
			}
		}
		foreseen = append(foreseen, step)
	}
	return foreseen
}

// alikePatience is how long one action may take to tell whether something happened.
const alikePatience = 5 * time.Second

// Alike tells whether all of what was foreseen has happened by other hands (right), none of it (wrong), or whether
// nobody can tell. It asks each action the question that is asked after a crash.
func (s *Stepper) Alike(ctx context.Context, incident *jenner.Incident, foreseen []jenner.ForeseenStep) jenner.Rightness {
	answers := map[Happened]int{}
	for _, step := range foreseen {
		answers[s.happened(ctx, incident, step, "")]++
	}
	switch {
	case len(foreseen) == 0 || answers[HappenedUnknown] > 0:
		return jenner.UnknownDecision
	case answers[HappenedDone] == len(foreseen):
		return jenner.RightDecision
	case answers[HappenedNot] == len(foreseen):
		return jenner.WrongDecision
	}
	return jenner.UnknownDecision
}

// happened asks an action whether what was foreseen, or intended under a key, has happened.
func (s *Stepper) happened(ctx context.Context, incident *jenner.Incident, step jenner.ForeseenStep, key string) Happened {
	_, action, err := s.Action(step.Action, step.Target.Kind, step.Params)
	resolver, ok := action.(Resolver)
	if err != nil || !ok {
		return HappenedUnknown
	}
	service, _ := s.Docs().Service(step.Service)
	during, cancel := context.WithTimeout(ctx, alikePatience)
	defer cancel()
	answer, err := resolver.Happened(during, Call{Key: key, Step: step.Step, Incident: incident.ID, Service: service, Target: step.Target,
		Checkpoint: json.RawMessage(step.Checkpoint), Host: s.Host(incident)})
	if err != nil {
		return HappenedUnknown
	}
	return answer
}
