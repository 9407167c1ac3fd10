package runbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Condition is a compiled CEL expression. It is safe for concurrent use.
type Condition struct {
	expr    string
	steps   []string
	program cel.Program
	tree    *ast.AST
}

// Env is the world that a condition is held against.
type Env struct {
	Steps     map[string]StepOutcome // the steps that have ended, by name
	Telemetry jenner.Telemetry       // nil: every probe is unknown
	Now       time.Time
	Service   string // the service that probe("NAME") asks about
}

// StepOutcome is how a step ended and what it gave.
type StepOutcome struct {
	Status jenner.StepStatus
	Output json.RawMessage
}

// The bounds of a condition. CEL ends always; these say how soon. The cost is CEL's own count of operations.
const (
	maxExpression = 4096 // code points
	maxNesting    = 50
	maxCost       = 100_000
)

// Compile reads a condition. The names of steps become variables with the fields passed, failed, skipped and output;
// steps["NAME"] is the same for names that are no identifiers. probe(NAME) and probe(SERVICE, NAME) give an object with
// status, passing, failing, slow, passing_for and failing_for; metric(PROMQL) gives the one number that the question has now.
// The error names the expression and the position.
func Compile(expr string, steps []string) (*Condition, error) {
	if strings.TrimSpace(expr) == "" {
		return nil, errors.New("the condition is empty; leave the key out where there is none")
	}
	steps = unique(steps)
	env, err := celEnv(steps)
	if err != nil {
		return nil, fmt.Errorf("condition %#q: %w", expr, err)
	}
	compiled, issues := env.Compile(expr)
	if issues.Err() != nil {
		return nil, compileError(expr, steps, issues)
	}
	if kind := compiled.OutputType(); !kind.IsExactType(cel.BoolType) && !kind.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("condition %#q gives %s; it must be true or false", expr, kind)
	}
	program, err := env.Program(compiled, cel.CostLimit(maxCost))
	if err != nil {
		return nil, fmt.Errorf("condition %#q: %w", expr, err)
	}
	condition := &Condition{expr: expr, steps: steps, program: program, tree: compiled.NativeRep()}
	if err := condition.checkStepKeys(); err != nil {
		return nil, err
	}
	return condition, nil
}

// String is the expression as it was written.
func (c *Condition) String() string { return c.expr }

// Eval holds the condition against the world. A step that has not ended has none of the outcomes. A probe whose state
// is unknown or stale has none of the states and both its durations are zero. A metric that has no number, or several, is
// an error. The error names the expression.
func (c *Condition) Eval(env Env) (bool, error) {
	vars, err := c.variables(env)
	if err != nil {
		return false, fmt.Errorf("condition %#q: %w", c.expr, err)
	}
	activation, err := cel.FunctionVars(vars, map[string]cel.LateBoundFunction{"probe": probeFunction(env), "metric": metricFunction(env)})
	if err != nil {
		return false, fmt.Errorf("condition %#q: %w", c.expr, err)
	}
	result, _, err := c.program.Eval(activation)
	if err != nil {
		return false, fmt.Errorf("condition %#q: %w", c.expr, err)
	}
	truth, ok := result.(types.Bool)
	if !ok {
		return false, fmt.Errorf("condition %#q gave %s; it must be true or false", c.expr, result.Type())
	}
	return bool(truth), nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reserved are identifiers that CEL keeps for itself, or that this package gives a meaning.
var reserved = strings.Fields(`true false null in as break const continue else for function if import let loop package
	namespace return var void while bool bytes double dyn int list map null_type string timestamp type uint
	steps`)

// isVariable tells whether a step's name can be written bare in a condition.
func isVariable(name string) bool {
	return identifier.MatchString(name) && !slices.Contains(reserved, name)
}

// unique is a copy without repeated names: a runbook with two steps of one name is refused elsewhere.
func unique(names []string) []string {
	var kept []string
	for _, name := range names {
		if !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	return kept
}

func compileError(expr string, steps []string, issues *cel.Issues) error {
	var texts []string
	for _, issue := range issues.Errors() {
		message, _, _ := strings.Cut(strings.Join(strings.Fields(issue.Message), " "), " expecting {")
		if name, missing := missingStep(expr, message); missing {
			message = fmt.Sprintf("there is no earlier step %q%s", name, strict.Hint(name, steps))
		}
		text := fmt.Sprintf("%d:%d: %s", issue.Location.Line(), issue.Location.Column()+1, message)
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return fmt.Errorf("condition %#q: %s", expr, strings.Join(texts, "; "))
}

var undeclared = regexp.MustCompile(`^undeclared reference to '([A-Za-z_][A-Za-z0-9_]*)'`)

// missingStep is the variable that an error of the CEL checker is about. CEL words a missing function alike, and that
// is no step.
func missingStep(expr, message string) (string, bool) {
	match := undeclared.FindStringSubmatch(message)
	if match == nil || regexp.MustCompile(`\b`+match[1]+`\s*\(`).MatchString(expr) {
		return "", false
	}
	return match[1], true
}
