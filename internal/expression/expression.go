// Package expression evaluates CEL over plain data, such as an alert's labels or the body of a webhook: what a value is
// read from, and texts with {{ }} in them.
//
// It is for values. It is not for conditions about steps, probes and metrics, which package runbook reads, and it has no
// effects: what an expression may see is handed to it.
package expression

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// The bounds of an expression. CEL ends always; these say how soon. The cost is CEL's own count of operations.
const (
	maxExpression = 4096 // code points
	maxNesting    = 50
	maxCost       = 1_000_000
)

// Scope are the variables that an expression may use. It is safe for concurrent use.
type Scope struct{ env *cel.Env }

// NewScope makes a scope. Texts are variables that are maps from text to text, such as labels; whatever are variables of
// any form, such as a decoded JSON body.
func NewScope(texts, whatever []string) (*Scope, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
	}
	for _, name := range texts {
		options = append(options, cel.Variable(name, cel.MapType(cel.StringType, cel.StringType)))
	}
	for _, name := range whatever {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, err
	}
	return &Scope{env}, nil
}

// Expression is a compiled CEL expression. It is safe for concurrent use.
type Expression struct {
	written string
	program cel.Program
}

// Compile reads an expression. The error names it and the position.
func (s *Scope) Compile(written string) (*Expression, error) {
	if strings.TrimSpace(written) == "" {
		return nil, errors.New("the expression is empty")
	}
	compiled, issues := s.env.Compile(written)
	if issues.Err() != nil {
		return nil, compileError(written, issues)
	}
	program, err := s.env.Program(compiled, cel.CostLimit(maxCost))
	if err != nil {
		return nil, fmt.Errorf("%#q: %w", written, err)
	}
	return &Expression{written, program}, nil
}

func compileError(written string, issues *cel.Issues) error {
	var said []string
	for _, issue := range issues.Errors() {
		message, _, _ := strings.Cut(strings.Join(strings.Fields(issue.Message), " "), " expecting {")
		said = append(said, fmt.Sprintf("%d:%d: %s", issue.Location.Line(), issue.Location.Column()+1, message))
	}
	return fmt.Errorf("%#q: %s", written, strings.Join(said, "; "))
}

// String is the expression as it was written.
func (e *Expression) String() string { return e.written }

// Value is what the expression gives, as JSON would hold it: nil, bool, float64, string, []any or map[string]any, and
// time.Time for a timestamp. What is not there, such as a label that is missing, is an error.
func (e *Expression) Value(vars map[string]any) (any, error) {
	result, _, err := e.program.Eval(vars)
	if err != nil {
		return nil, fmt.Errorf("%#q: %w", e.written, err)
	}
	if optional, ok := result.(*types.Optional); ok {
		if !optional.HasValue() {
			return nil, nil
		}
		result = optional.GetValue()
	}
	switch value := result.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(value), nil
	case types.String:
		return string(value), nil
	case types.Int:
		return float64(value), nil
	case types.Uint:
		return float64(value), nil
	case types.Double:
		return float64(value), nil
	case types.Timestamp:
		return value.Time, nil
	}
	for _, form := range []reflect.Type{reflect.TypeFor[map[string]any](), reflect.TypeFor[[]any]()} {
		if native, err := result.ConvertToNative(form); err == nil {
			return native, nil
		}
	}
	return nil, fmt.Errorf("%#q gives %s, which is no value that JSON has", e.written, result.Type())
}

// Text is Value as text: numbers and truth values as JSON writes them. Null is an empty text; lists and maps are errors.
func (e *Expression) Text(vars map[string]any) (string, error) {
	value, err := e.Value(vars)
	if err != nil {
		return "", err
	}
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case bool, float64:
		return fmt.Sprint(value), nil
	}
	return "", fmt.Errorf("%#q gives a list, a map or a time; it must be a text", e.written)
}
