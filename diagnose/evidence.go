package diagnose

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// judgeAlert looks for an alert of that name, of any kind, that fires for the service.
func (w world) judgeAlert(service jenner.Service, name string) verdict {
	for _, alert := range w.firing(service.Name) {
		if alert.Name == name {
			return found(true, "%s", w.sawAlert(alert))
		}
	}
	return found(false, "it does not fire")
}

func (w world) sawAlert(alert jenner.Alert) string {
	return "fires since " + alert.StartsAt.UTC().Format(time.RFC3339) + ", value " + figure(alert.Value)
}

// serviceVariable stands for the service at hand in an expression of a signature, which is written for many services.
const serviceVariable = "$service"

// judgePromQL asks. Any answer that is not zero matches. Samples that carry the label of another service that is known are
// passed over (to a server, the label may mean something else), and so is NaN: a share of nothing says nothing.
func (w world) judgePromQL(ctx context.Context, service jenner.Service, text string) verdict {
	name := strings.Trim(strconv.Quote(service.Name), `"`) // it stands inside quotes there
	ctx = jenner.Asking(ctx, jenner.Question{Service: service.Name})
	answer, err := w.in.Telemetry.Query(ctx, strings.ReplaceAll(text, serviceVariable, name))
	if err != nil {
		return missing("it could not be asked: %v", err)
	}
	usable, largest := 0, 0.0
	for _, sample := range answer.Samples {
		owner := sample.Labels["service"]
		_, known := w.in.Services[owner]
		if known && owner != service.Name || math.IsNaN(sample.Value) {
			continue
		}
		usable++
		if math.Abs(sample.Value) > math.Abs(largest) {
			largest = sample.Value
		}
	}
	switch {
	case usable == 0 && len(answer.Samples) > 0:
		return missing("no number of %s among %d answers", service.Name, len(answer.Samples))
	case usable == 0:
		return missing("no answer: there is no data, or a comparison in it does not hold")
	}
	return found(largest != 0, "%s", figure(largest))
}

// judgeProbe compares a probe's status, exactly: an answer that is slow is not passing.
func (w world) judgeProbe(service jenner.Service, written, is string, lasting jenner.Duration) verdict {
	owner, name := service.Name, written
	if other, probe, both := strings.Cut(written, "/"); both {
		owner, name = other, probe
	}
	switch jenner.ProbeStatus(is) {
	case jenner.ProbeFailing, jenner.ProbePassing, jenner.ProbeSlow:
	default:
		return missing("a probe is failing, passing or slow, not %q", is)
	}
	state, known := w.in.Telemetry.Probe(owner, name)
	switch {
	case !known:
		return missing("%s has no probe %s", owner, name)
	case state.At.IsZero():
		return missing("it was never answered")
	case w.status(state) == jenner.ProbeUnknown && !state.Fresh(w.in.Now):
		return missing("its last answer is %s old", ago(w.in.Now, state.At))
	case w.status(state) == jenner.ProbeUnknown:
		return missing("it is unknown%s", because(state.Message))
	}
	saw := string(state.Status)
	if state.Status == jenner.ProbeFailing {
		saw += because(state.Message)
	}
	if short, yes := w.short(state, lasting); yes && string(state.Status) == is {
		return found(false, "%s, but only for %s", saw, short)
	}
	return found(string(state.Status) == is, "%s, last answer after %s", saw, jenner.Duration(state.Duration.Round(time.Millisecond)))
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// judgeProcess asks the alive checks. Gone matches where one process is gone, and names that one; alive matches where
// all live, and names the process where it is the only one.
func (w world) judgeProcess(service jenner.Service, is string, lasting jenner.Duration) verdict {
	if is != "gone" && is != "alive" {
		return missing("a process is gone or alive, not %q", is)
	}
	states := w.alive(service.Name)
	unknown := 0
	for _, state := range states {
		switch w.status(state) {
		case jenner.ProbeFailing:
			if short, yes := w.short(state, lasting); is == "gone" && yes {
				return found(false, "%s is gone, but only for %s", state.Target, short)
			}
			result := found(is == "gone", "%s is gone%s", state.Target, because(state.Message))
			if is == "gone" {
				result.target = state.Target
			}
			return result
		case jenner.ProbePassing, jenner.ProbeSlow:
			if short, yes := w.short(state, lasting); is == "alive" && yes {
				return found(false, "%s lives, but only for %s", state.Target, short)
			}
		default:
			unknown++
		}
	}
	switch {
	case len(states) == 0:
		return missing("%s has no process that is watched", service.Name)
	case unknown > 0:
		return missing("of %d of %d processes nobody knows whether they live", unknown, len(states))
	case len(states) > 1:
		return found(is == "alive", "all %d processes live", len(states))
	}
	result := found(is == "alive", "%s lives", states[0].Target)
	if is == "alive" {
		result.target = states[0].Target
	}
	return result
}

// short tells that a state has not lasted for as long as the evidence asks for, and how long it has.
func (w world) short(state jenner.ProbeState, lasting jenner.Duration) (jenner.Duration, bool) {
	since := w.in.Now.Sub(state.Since)
	return jenner.Duration(since.Round(time.Millisecond)), since < lasting.Std()
}

// judgeDependency looks at everything the service needs, directly or through others. Healthy asks all of our own to
// pass, and holds for a service that needs nothing; failing and slow ask for one, third parties' services included.
func (w world) judgeDependency(service jenner.Service, is string) verdict {
	by := map[jenner.ProbeStatus][]string{}
	asked := 0
	for _, name := range Dependencies(w.in.Services, service.Name) {
		if is == "healthy" && w.in.Services[name].External {
			continue
		}
		asked++
		condition := w.condition(name)
		by[condition] = append(by[condition], name)
		if condition != jenner.ProbeSlow && is == "slow" && w.hasSlowProbe(name) {
			by[jenner.ProbeSlow] = append(by[jenner.ProbeSlow], name)
		}
	}
	list := func(status jenner.ProbeStatus) string { return strings.Join(by[status], ", ") + " " + string(status) }
	failing, slow := len(by[jenner.ProbeFailing]) > 0, len(by[jenner.ProbeSlow]) > 0
	switch {
	case is != "healthy" && is != "failing" && is != "slow":
		return missing("a dependency is healthy, failing or slow, not %q", is)
	case is != "slow" && failing:
		return found(is == "failing", "%s", list(jenner.ProbeFailing))
	case is == "slow" && slow, is == "healthy" && slow:
		return found(is == "slow", "%s", list(jenner.ProbeSlow))
	case len(by[jenner.ProbeUnknown]) > 0:
		return missing("%s", list(jenner.ProbeUnknown))
	case asked == 0:
		return found(is == "healthy", "it needs nothing that could fail")
	}
	return found(is == "healthy", "none of %d is %s", asked, map[string]string{"slow": "slow", "failing": "failing", "healthy": "sick"}[is])
}

// hasSlowProbe finds the slow probe also of a service that is in other ways unknown or failing.
func (w world) hasSlowProbe(service string) bool {
	for _, state := range w.in.Telemetry.Probes(service) {
		if w.status(state) == jenner.ProbeSlow {
			return true
		}
	}
	return false
}
