package runbook_test

import (
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/runbook"
)

func TestTriggersReadPercentagesAsShares(t *testing.T) {
	for written, want := range map[string]string{
		`db_connection_pool_utilization > 90%`: `db_connection_pool_utilization > 0.9`,
		`a > 99.9%`:                            `a > 0.999`,
		`90% < a`:                              `0.9 < a`,
		`(a > 5%) and b < 0.1%`:                `(a > 0.05) and b < 0.001`,
		`a > 5% and b`:                         `a > 0.05 and b`,
		`a > 5% or vector(1)`:                  `a > 0.05 or vector(1)`,
		`clamp(a, 10%, 90%)`:                   `clamp(a, 0.1, 0.9)`,
		`a * 50% > 1`:                          `a * 0.5 > 1`,
		`a > 150%`:                             `a > 1.5`,
		`a > 7% # 8%`:                          `a > 0.07 # 8%`,
		`a % 2`:                                `a % 2`,
		`a %2 > 0`:                             `a %2 > 0`,
		`a%2`:                                  `a%2`,
		`90 % b`:                               `90 % b`,
		`90% b`:                                `90% b`,
		`90%b > 5%`:                            `90%b > 0.05`,
		`90%(a)`:                               `90%(a)`,
		`p90 % 3`:                              `p90 % 3`,
		`a{x="50%"} > 50%`:                     `a{x="50%"} > 0.5`,
		`errors`:                               `errors`,
		`rate(a[5m]) > 5%`:                     `rate(a[5m]) > 0.05`,
		`5% < bool 5 %4`:                       `0.05 < bool 5 %4`,
	} {
		if got, err := runbook.Trigger(jenner.Trigger{Alert: written}); err != nil || got != want {
			t.Errorf("Trigger(%s) is %s (%v), want %s", written, got, err, want)
		}
	}
}

func TestTriggersThatCannotBeRead(t *testing.T) {
	for written, want := range map[string]string{
		``:             `the trigger names no alert`,
		`a > 90 %`:     "trigger `a > 90 %` is not PromQL: 1:9: parse error",
		`p90% > 3`:     `is not PromQL`,
		`a > "x`:       `unterminated quoted string`,
		`rate(a) > 5%`: `expected type range vector`,
		`two words`:    "trigger `two words` is not PromQL: 1:5:",
	} {
		if got, err := runbook.Trigger(jenner.Trigger{Alert: written}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Trigger(%s) is %s, %v; want %s", written, got, err, want)
		}
	}
}
