package runbook

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/jenner-heal/jenner"
)

// Trigger is the trigger's alert as PromQL: `pool > 90%` is `pool > 0.9`. A percent sign is one where it follows a
// number at once and no right-hand side follows it, so `a % 2` and `90 % b` stay remainders. An alert that is the bare
// name of a declared alert is PromQL too; whether it names one is for the caller to see. The error names the trigger
// and the position.
func Trigger(t jenner.Trigger) (promql string, err error) {
	if strings.TrimSpace(t.Alert) == "" {
		return "", fmt.Errorf("the trigger names no alert; write the name of an alert, or PromQL such as `pool_use > 90%%`")
	}
	promql = sharesFromPercents(t.Alert)
	if _, err := parser.NewParser(parser.Options{}).ParseExpr(promql); err != nil {
		return "", fmt.Errorf("trigger %#q is not PromQL: %w", t.Alert, err)
	}
	return promql, nil
}

// sharesFromPercents rewrites every percentage. Text that PromQL's own lexer refuses comes back as it is, for the
// parser to complain about.
func sharesFromPercents(text string) string {
	var items []parser.Item
	for lexer := parser.Lex(text); ; {
		var item parser.Item
		lexer.NextItem(&item)
		if item.Typ == parser.ERROR {
			return text
		}
		if item.Typ != parser.COMMENT {
			items = append(items, item)
		}
		if item.Typ == parser.EOF {
			break
		}
	}
	var out strings.Builder
	copied := 0
	for i := 0; i+2 < len(items); i++ {
		number, percent := items[i], items[i+1]
		end := int(number.Pos) + len(number.Val)
		if number.Typ != parser.NUMBER || percent.Typ != parser.MOD || int(percent.Pos) != end || !endsOperand(items[i+2]) {
			continue
		}
		value, err := strconv.ParseFloat(number.Val, 64)
		if err != nil {
			continue
		}
		out.WriteString(text[copied:number.Pos])
		// Twelve digits hide binary rounding: 99.9/100 is 0.9990000000000001.
		out.WriteString(strconv.FormatFloat(value/100, 'g', 12, 64))
		copied = end + len("%")
	}
	out.WriteString(text[copied:])
	return out.String()
}

// endsOperand tells whether the token that follows a percent sign cannot be the right-hand side of a remainder.
func endsOperand(next parser.Item) bool {
	switch next.Typ {
	case parser.EOF, parser.RIGHT_PAREN, parser.RIGHT_BRACKET, parser.RIGHT_BRACE, parser.COMMA:
		return true
	}
	return next.Typ.IsOperator()
}
