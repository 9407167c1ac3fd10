package runbook

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/jenner-heal/jenner"
)

// stepObject is a step as conditions see it.
type stepObject struct {
	Passed  bool `cel:"passed"`
	Failed  bool `cel:"failed"`
	Skipped bool `cel:"skipped"`
	Output  any  `cel:"output"`
}

// probeObject is a probe as conditions see it. The durations are zero where it is not in that state.
type probeObject struct {
	Status     string        `cel:"status"`
	Passing    bool          `cel:"passing"`
	Failing    bool          `cel:"failing"`
	Slow       bool          `cel:"slow"`
	PassingFor time.Duration `cel:"passing_for"`
	FailingFor time.Duration `cel:"failing_for"`
}

var (
	stepType  = cel.ObjectType("runbook.stepObject")
	probeType = cel.ObjectType("runbook.probeObject")
)

// baseEnv is what all conditions share; making it is the slow part of compiling one.
var baseEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
		cel.CrossTypeNumericComparisons(true), // metric("up") < 1, as people write it
		ext.NativeTypes(reflect.TypeFor[stepObject](), reflect.TypeFor[probeObject](), ext.ParseStructTags(true)),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
		cel.Variable("steps", cel.MapType(cel.StringType, stepType)),
		cel.Function("probe",
			cel.Overload("probe_name", []*cel.Type{cel.StringType}, probeType, cel.LateFunctionBinding()),
			cel.Overload("probe_service_name", []*cel.Type{cel.StringType, cel.StringType}, probeType,
				cel.LateFunctionBinding())),
		cel.Function("metric",
			cel.Overload("metric_promql", []*cel.Type{cel.StringType}, cel.DoubleType, cel.LateFunctionBinding())),
	)
})

func celEnv(steps []string) (*cel.Env, error) {
	base, err := baseEnv()
	if err != nil {
		return nil, err
	}
	var options []cel.EnvOption
	for _, name := range steps {
		if isVariable(name) {
			options = append(options, cel.Variable(name, stepType))
		}
	}
	return base.Extend(options...)
}

// variables are the steps as CEL variables, bare and in the map `steps`.
func (c *Condition) variables(env Env) (map[string]any, error) {
	objects := map[string]stepObject{}
	vars := map[string]any{}
	for _, name := range c.steps {
		outcome := env.Steps[name]
		object := stepObject{
			Passed:  outcome.Status == jenner.StepPassed,
			Failed:  outcome.Status == jenner.StepFailed,
			Skipped: outcome.Status == jenner.StepSkipped,
		}
		if len(outcome.Output) > 0 {
			if err := json.Unmarshal(outcome.Output, &object.Output); err != nil {
				return nil, fmt.Errorf("the output of step %q is not JSON: %w", name, err)
			}
		}
		objects[name] = object
		if isVariable(name) {
			vars[name] = object
		}
	}
	vars["steps"] = objects
	return vars, nil
}

// probeFunction is probe() as it stands at env.Now.
func probeFunction(env Env) cel.LateBoundFunction {
	return func(_ string, args ...ref.Val) ref.Val {
		base, err := baseEnv()
		if err != nil {
			return types.WrapErr(err)
		}
		service := env.Service
		if len(args) == 2 {
			service = fmt.Sprint(args[0].Value())
		}
		name := fmt.Sprint(args[len(args)-1].Value())
		return base.CELTypeAdapter().NativeToValue(probeState(env, service, name))
	}
}

func probeState(env Env, service, name string) probeObject {
	object := probeObject{Status: string(jenner.ProbeUnknown)}
	if env.Telemetry == nil {
		return object
	}
	state, known := env.Telemetry.Probe(service, name)
	if !known || !state.Fresh(env.Now) {
		return object
	}
	lasting := max(0, env.Now.Sub(state.Since))
	switch state.Status {
	case jenner.ProbePassing:
		object.Passing, object.PassingFor = true, lasting
	case jenner.ProbeFailing:
		object.Failing, object.FailingFor = true, lasting
	case jenner.ProbeSlow:
		object.Slow = true
	default:
		return object
	}
	object.Status = string(state.Status)
	return object
}
