package runbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// StepNames are the names of the steps, in order.
func StepNames(book jenner.Runbook) []string {
	names := make([]string, 0, len(book.Steps))
	for _, step := range book.Steps {
		names = append(names, step.Name)
	}
	return names
}

// Check finds what is wrong with a runbook by itself, without knowing actions, services or policies. Paths are relative
// to the runbook; lines are 0.
func Check(book jenner.Runbook) []strict.Problem {
	c := &checker{book: book, names: StepNames(book)}
	if len(book.Steps) == 0 {
		c.add("/steps", "runbook %q has no steps", book.Name)
	}
	if book.Trigger != nil {
		if _, err := Trigger(*book.Trigger); err != nil {
			c.add("/trigger/alert", "%v", err)
		}
	}
	for i := range book.Steps {
		c.step(i)
	}
	c.revert()
	return c.problems
}

// Handled tells whether a later step's condition asks for the outcome of step i; then its failure does not fail the
// run.
func Handled(book jenner.Runbook, i int) bool {
	if i < 0 || i >= len(book.Steps) {
		return false
	}
	names := StepNames(book)
	for later := i + 1; later < len(book.Steps); later++ {
		if book.Steps[later].Condition == "" {
			continue
		}
		condition, err := Compile(book.Steps[later].Condition, names[:later])
		if err == nil && slices.Contains(condition.stepsAsked(isOutcome), names[i]) {
			return true
		}
	}
	return false
}

func isOutcome(field string) bool {
	return slices.Contains([]string{"passed", "failed", "skipped"}, field)
}

// checker is one call of Check.
type checker struct {
	book     jenner.Runbook
	names    []string
	problems []strict.Problem
}

func (c *checker) add(path, format string, args ...any) {
	c.problems = append(c.problems, strict.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) step(i int) {
	step, path := c.book.Steps[i], fmt.Sprintf("/steps/%d", i)
	switch {
	case strings.TrimSpace(step.Name) == "":
		c.add(path+"/name", "step %d of runbook %q has no name", i+1, c.book.Name)
	case slices.Index(c.names, step.Name) < i:
		c.add(path+"/name", "runbook %q has two steps called %q", c.book.Name, step.Name)
	}
	if strings.TrimSpace(step.Action) == "" {
		c.add(path+"/action", "step %q has no action", step.Name)
	}
	if step.Undo != nil && strings.TrimSpace(step.Undo.Action) == "" {
		c.add(path+"/undo/action", "the undo of step %q has no action", step.Name)
	}
	if step.Condition != "" {
		c.condition(path+"/condition", step.Condition, i)
	}
	c.retry(path+"/retry", step)
	for _, key := range badUnits(step.BlastRadius) {
		c.add(path+"/blast_radius/"+key, "blast radius %q of step %q must be max_ and a unit, such as max_connections",
			key, step.Name)
	}
	c.wait(path, step)
}

// condition compiles the condition of step i, which may ask for earlier steps only.
func (c *checker) condition(path, expr string, i int) {
	_, err := Compile(expr, c.names[:i])
	if err == nil {
		return
	}
	if whole, ok := Compile(expr, c.names); ok == nil {
		for _, name := range whole.stepsAsked(func(string) bool { return true }) {
			if slices.Index(c.names, name) == i {
				err = fmt.Errorf("condition %#q of step %q asks for the step's own outcome", expr, name)
			} else if slices.Index(c.names, name) > i {
				err = fmt.Errorf("condition %#q of step %q asks for step %q, which comes later", expr, c.names[i], name)
			}
		}
	}
	c.add(path, "%v", err)
}

func (c *checker) retry(path string, step jenner.Step) {
	if step.Retry == nil {
		return
	}
	if step.Retry.Attempts < 1 {
		c.add(path+"/attempts", "step %q is tried %d times; it must be at least once", step.Name, step.Retry.Attempts)
	}
	if step.Retry.MaxDelay > 0 && step.Retry.MaxDelay < step.Retry.Delay {
		c.add(path+"/max_delay", "max_delay %s of step %q is shorter than its delay %s",
			step.Retry.MaxDelay, step.Name, step.Retry.Delay)
	}
}

// badUnits are the keys that do not say max_ and a unit.
func badUnits(radius jenner.BlastRadius) []string {
	var bad []string
	for key := range radius {
		if unit, ok := strings.CutPrefix(key, "max_"); !ok || unit == "" {
			bad = append(bad, key)
		}
	}
	slices.Sort(bad)
	return bad
}

// wait asks a waiting step for its timeout: a wait without an end would hold its incident for ever.
func (c *checker) wait(path string, step jenner.Step) {
	verb := step.Action[strings.LastIndexByte(step.Action, '.')+1:]
	if !strings.HasPrefix(verb, "wait_") {
		return
	}
	if raw, written := step.Params["timeout"]; written && string(raw) != `"0"` && string(raw) != "0" {
		return // whether it is a duration is for the action's own parameters to say
	}
	c.add(path+"/params/timeout", "step %q waits and needs the parameter timeout, such as timeout: 30s", step.Name)
}

func (c *checker) revert() {
	if c.book.RevertWhen == "" {
		if c.book.RevertAfter != 0 {
			c.add("/revert_after", "runbook %q has revert_after without revert_when", c.book.Name)
		}
		return
	}
	if _, err := Compile(c.book.RevertWhen, c.names); err != nil {
		c.add("/revert_when", "%v", err)
	}
}
