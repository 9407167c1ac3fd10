package runbook

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/jenner-heal/jenner/internal/strict"
)

// ProbeRef is a probe that a condition names in so many words. Service is empty for probe(NAME).
type ProbeRef struct {
	Service string
	Name    string
}

// Probes are the probes that the condition names by literal text, in the order they are written.
func (c *Condition) Probes() []ProbeRef {
	var found []ProbeRef
	c.visit(func(expr ast.Expr) {
		if expr.Kind() != ast.CallKind || expr.AsCall().FunctionName() != "probe" {
			return
		}
		var words []string
		for _, arg := range expr.AsCall().Args() {
			word, literal := literalText(arg)
			if !literal {
				return
			}
			words = append(words, word)
		}
		probe := ProbeRef{Name: words[len(words)-1]}
		if len(words) == 2 {
			probe.Service = words[0]
		}
		found = append(found, probe)
	})
	return found
}

// stepsAsked are the steps whose field the condition asks for, where wanted holds for the field.
func (c *Condition) stepsAsked(wanted func(field string) bool) []string {
	var found []string
	c.visit(func(expr ast.Expr) {
		if expr.Kind() != ast.SelectKind || !wanted(expr.AsSelect().FieldName()) {
			return
		}
		if name, ok := c.stepNamed(expr.AsSelect().Operand()); ok && !slices.Contains(found, name) {
			found = append(found, name)
		}
	})
	return found
}

// stepNamed is the step that an expression stands for: NAME, steps.NAME or steps["NAME"].
func (c *Condition) stepNamed(expr ast.Expr) (string, bool) {
	switch expr.Kind() {
	case ast.IdentKind:
		return expr.AsIdent(), slices.Contains(c.steps, expr.AsIdent())
	case ast.SelectKind:
		return expr.AsSelect().FieldName(), isStepsMap(expr.AsSelect().Operand())
	case ast.CallKind:
		return stepKey(expr)
	}
	return "", false
}

// stepKey is NAME of steps["NAME"].
func stepKey(expr ast.Expr) (string, bool) {
	call := expr.AsCall()
	if call.FunctionName() != operators.Index || len(call.Args()) != 2 || !isStepsMap(call.Args()[0]) {
		return "", false
	}
	return literalText(call.Args()[1])
}

func isStepsMap(expr ast.Expr) bool { return expr.Kind() == ast.IdentKind && expr.AsIdent() == "steps" }

func literalText(expr ast.Expr) (string, bool) {
	if expr.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := expr.AsLiteral().(types.String)
	return string(text), ok
}

// checkStepKeys refuses steps["NAME"] of a step that is not there, which CEL itself would only notice when it runs.
func (c *Condition) checkStepKeys() error {
	var err error
	c.visit(func(expr ast.Expr) {
		var name string
		var found bool
		switch {
		case expr.Kind() == ast.CallKind:
			name, found = stepKey(expr)
		case expr.Kind() == ast.SelectKind && isStepsMap(expr.AsSelect().Operand()):
			name, found = expr.AsSelect().FieldName(), true
		}
		if found && !slices.Contains(c.steps, name) && err == nil {
			at := c.tree.SourceInfo().GetStartLocation(expr.ID())
			err = fmt.Errorf("condition %#q: %d:%d: there is no earlier step %q%s", c.expr, at.Line(), at.Column()+1,
				name, strict.Hint(name, c.steps))
		}
	})
	return err
}

func (c *Condition) visit(see func(ast.Expr)) {
	ast.PreOrderVisit(c.tree.Expr(), ast.NewExprVisitor(see))
}
