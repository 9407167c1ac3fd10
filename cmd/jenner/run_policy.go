package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/runbook"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// policyRun is what a policy would do for a service.
type policyRun struct {
	Policy      string        `json:"policy"`
	Service     string        `json:"service"`
	Environment string        `json:"environment,omitempty"`
	Cause       jenner.Cause  `json:"cause"`
	Mode        jenner.Mode   `json:"mode"`              // as the files say, for the environment
	Outdone     string        `json:"outdone,omitempty"` // the policy that is more specific, and would be taken instead
	Limits      []policyLimit `json:"limits"`
	Runbooks    []policyBook  `json:"runbooks"`

	noHistory error // why nobody knows where it stands on the ladder
}

type policyLimit struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// policyBook is one runbook of a policy, with where the policy stands with it; nil: the mode is not earned, or nobody
// knows.
type policyBook struct {
	Standing *jenner.Standing `json:"standing,omitempty"`
	rehearsed
}

func runPolicy(ctx context.Context, data string, docs *jenner.Documents, name, serviceName string, asJSON bool, out io.Writer) error {
	policy, service, err := policyFor(docs, name, serviceName)
	if err != nil {
		return err
	}
	run := policyRun{Policy: name, Service: serviceName, Environment: service.Environment, Cause: policy.IncidentType,
		Mode: policy.ModeFor(service.Environment), Limits: limitsOf(docs, policy, service)}
	cause := jenner.RankedCause{Cause: policy.IncidentType, Service: serviceName}
	if taken, _, found := runbook.Choose(docs.Policies, cause, service, nil); found && taken.Name != name {
		run.Outdone = taken.Name
	}
	var standings []jenner.Standing
	if policy.Promotion != nil {
		standings, run.noHistory = standingsIn(ctx, data, docs, serviceName)
	}
	possible := true
	for _, name := range policy.Runbooks {
		result, err := rehearse(ctx, docs, name, serviceName, jenner.TargetRef{})
		if err != nil {
			return err
		}
		possible = possible && result.Possible
		book := policyBook{rehearsed: result}
		for _, one := range standings {
			if one.Policy == policy.Name && one.Runbook == name {
				book.Standing = &one
			}
		}
		run.Runbooks = append(run.Runbooks, book)
	}
	if asJSON {
		err = json.NewEncoder(out).Encode(run)
	} else {
		run.tell(out)
	}
	if err == nil && !possible {
		return exitCode(exitNo)
	}
	return err
}

func policyFor(docs *jenner.Documents, name, serviceName string) (jenner.Policy, jenner.Service, error) {
	service, known := docs.Service(serviceName)
	if !known {
		return jenner.Policy{}, service, usage("there is no service %q in the files%s", serviceName, strict.Hint(serviceName, servicesOf(docs)))
	}
	for _, policy := range docs.Policies {
		if policy.Name == name && !policy.Services.Picks(service) {
			return policy, service, usage("policy %s is not for %s: its services do not pick it", name, serviceName)
		}
		if policy.Name == name {
			return policy, service, nil
		}
	}
	return jenner.Policy{}, service, usage("there is no policy %q in the files%s", name, strict.Hint(name, policiesOf(docs)))
}

// standingsIn is where the policies for a service stand, as the data directory knows it.
func standingsIn(ctx context.Context, data string, docs *jenner.Documents, service string) ([]jenner.Standing, error) {
	store, err := sqlite.Open(data, sqlite.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return loop.Maturity(ctx, store, docs, time.Now(), service)
}

// limitsOf says all that bounds a policy, also where the files leave it to what is usual.
func limitsOf(docs *jenner.Documents, policy jenner.Policy, service jenner.Service) []policyLimit {
	var limits []policyLimit
	add := func(name, format string, args ...any) {
		limits = append(limits, policyLimit{name, fmt.Sprintf(format, args...)})
	}
	add("automation", "%s", cmp.Or(policy.Automation, jenner.AutomationSafe))
	add("confidence", "at least %v", cmp.Or(policy.ConfidenceThreshold, decide.DefaultConfidence))
	if policy.DetectionSignal != "" {
		add("signal", "%s must be among the evidence", policy.DetectionSignal)
	}
	add("alerts", "at most %s old", jenner.Duration(policy.AlertExpiresAfter.Or(decide.DefaultAlertExpiry)))
	add("attempts", "%d for one cause on one target, counted anew after %s of health", cmp.Or(policy.MaxAttempts, decide.DefaultAttempts),
		jenner.Duration(policy.AttemptsResetAfter.Or(decide.DefaultAttemptsReset)))
	add("cooldown", "%s between two runs on one target", jenner.Duration(policy.CooldownAfterAction.Or(decide.DefaultCooldown)))
	breaker, recurrence := jenner.Breaker{}, jenner.Recurrence{}
	if policy.CircuitBreaker != nil {
		breaker = *policy.CircuitBreaker
	}
	if policy.Recurrence != nil {
		recurrence = *policy.Recurrence
	}
	add("breaker", "open for %s after %d failed runs in a row within %s", jenner.Duration(breaker.OpenFor.Or(decide.DefaultBreakerOpenFor)),
		cmp.Or(breaker.Failures, decide.DefaultBreakerFailures), jenner.Duration(breaker.Window.Or(decide.DefaultBreakerWindow)))
	add("recurrence", "less than %d times healed within %s", cmp.Or(recurrence.Times, decide.DefaultRecurrenceTimes),
		jenner.Duration(recurrence.Window.Or(decide.DefaultRecurrenceWindow)))
	add("at once", "%d targets of %s, %d of all services", docs.Limits.OfService(), service.Name, docs.Limits.AtOnce())
	return append(limits, furtherLimits(docs, policy, service)...)
}

// furtherLimits are those that hold only where the policy says so.
func furtherLimits(docs *jenner.Documents, policy jenner.Policy, service jenner.Service) []policyLimit {
	var limits []policyLimit
	add := func(name, format string, args ...any) {
		limits = append(limits, policyLimit{name, fmt.Sprintf(format, args...)})
	}
	for _, unit := range policy.BlastRadius.Units() {
		add("blast", "at most %s %s", written(policy.BlastRadius["max_"+unit]), unit)
	}
	if policy.MinHealthy != nil {
		add("healthy", "%s of the %d targets must stay well", written(*policy.MinHealthy), len(service.Targets))
	}
	if policy.MaxConcurrent > 0 {
		add("concurrency", "%d runs of the policy at once", policy.MaxConcurrent)
	}
	if rule := policy.ErrorBudget; rule != nil {
		add("budget", "of %s: asks below %.0f%% left, only recommends below %.0f%%", rule.SLO, 100*float64(rule.AskBelow), 100*float64(rule.RecommendBelow))
	}
	if rule := policy.CostBudget; rule != nil {
		add("cost", "%v within %s", rule.Max, jenner.Duration(rule.Window.Or(decide.DefaultCostWindow)))
	}
	if policy.RequiresProof > 0 {
		add("proof", "a PROVEN drill younger than %s", policy.RequiresProof)
	}
	if approval := policy.Approval; approval != nil {
		who := "anybody"
		if people := docs.Approvers(*approval, service); len(people) > 0 {
			who = strings.Join(people, ", ")
		}
		add("approval", "%d of %s within %s", decide.Need(policy), who, jenner.Duration(approval.Expires.Or(decide.DefaultApprovalExpiry)))
	}
	if policy.RollbackIfFailed {
		add("rollback", "what did not help is taken back")
	}
	if policy.EscalationChannel != "" {
		add("tells", "%s", policy.EscalationChannel)
	}
	return limits
}

func written(limit jenner.Limit) string {
	text, err := limit.MarshalText()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p policyRun) tell(out io.Writer) {
	where := ""
	if p.Environment != "" {
		where = " in environment " + p.Environment
	}
	fmt.Fprintf(out, "policy %s for %s%s, when the cause is %s: mode %s\n", p.Policy, p.Service, where, p.Cause, p.Mode)
	if p.Outdone != "" {
		fmt.Fprintf(out, "BUT policy %s is more specific for %s and is taken instead of it\n", p.Outdone, p.Service)
	}
	if errors.Is(p.noHistory, fs.ErrNotExist) {
		fmt.Fprintln(out, "it must earn its mode, and begins at the bottom: there is no data directory yet (--data)")
	} else if p.noHistory != nil {
		fmt.Fprintf(out, "it must earn its mode, and nobody knows how far it is: %v\n", p.noHistory)
	}
	for _, limit := range p.Limits {
		fmt.Fprintf(out, "  %-11s %s\n", limit.Name, limit.Text)
	}
	for _, book := range p.Runbooks {
		fmt.Fprintln(out)
		if book.Standing != nil {
			fmt.Fprintf(out, "stands on %s, at most %s", book.Standing.Level, book.Standing.Ceiling)
			if len(book.Standing.Missing) > 0 {
				fmt.Fprintf(out, "; for %s is missing: %s", cmp.Or(book.Standing.Next, "more"), strings.Join(book.Standing.Missing, "; "))
			}
			fmt.Fprintln(out)
		}
		book.tell(out)
	}
	if len(p.Runbooks) == 0 {
		fmt.Fprintln(out, "it names no runbook: a person is told")
	}
}
