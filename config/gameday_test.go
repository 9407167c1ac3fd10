package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner/config"
)

const gamedayWorld = `
kind: service
name: web
targets: [{kind: process, name: web, start: ./web, pidfile: web.pid}]
---
kind: experiment
name: web-killed
hypothesis: it is started again
service: web
faults: [{fault: kill, target: web}]
---
kind: experiment
name: quiet
hypothesis: nothing is done
service: web
expect: {no_action_for: 1s}
---
kind: gameday
name: spring
`

// TestGamedaysAreChecked: each mistake is named at its line.
func TestGamedaysAreChecked(t *testing.T) {
	for written, want := range map[string]string{
		"faults: [{at: 5m, fault: kill, target: web, secret: true, for: 2m}]": "",
		"faults: [{experiment: web-killed}]":                                  "",
		"faults: [{fault: kill, target: web/web}]\nat: '14:00'\nlasts: 1h":    "",
		"faults: []":                                                            "breaks nothing, so that there is nothing to practise on",
		"hypothesis: x":                                                         `gameday needs the key "faults"`,
		"faults: [{fault: kill}]":                                               "does not say its target",
		"faults: [{fault: kill, target: wab}]":                                  `there is no service or target "wab"`,
		"faults: [{fault: kil, target: web}]":                                   `unknown fault "kil"`,
		"faults: [{experiment: web-kiled}]":                                     `unknown experiment "web-kiled"; did you mean "web-killed"?`,
		"faults: [{experiment: quiet}]":                                         "experiment quiet breaks nothing",
		"faults: [{experiment: web-killed, fault: kill, target: web}]":          "either an experiment's or one of its own",
		"faults: [{experiment: web-killed, target: web}]":                       "leave target and params out",
		"faults: [{at: 1h}]":                                                    "either an experiment's or one of its own",
		"faults: [{at: 10m, fault: kill, target: web}]\nlasts: 10m":             "comes 10m after the beginning, when the game day of 10m is over",
		"faults: [{experiment: web-killed}]\nat: soon":                          `"soon" is no time`,
		"faults: [{experiment: web-killed}]\npeople: [' ']":                     "has an empty name",
		"faults: [{experiment: web-killed}]\nabort_if: ['probe(\"x\").faling']": "condition",
		"faults: [{experiment: web-killed}]\ngoals: {resolved_within: 1m}":      `unknown key "resolved_within"`,
	} {
		t.Run(written, func(t *testing.T) {
			text := gamedayWorld + written
			file := filepath.Join(t.TempDir(), "a.yaml")
			if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, problems, _ := config.CheckFiles(names, file)
			if want == "" {
				if len(problems) > 0 {
					t.Errorf("%v\n%s", problems, text)
				}
				return
			}
			if !strings.Contains(problems.Error(), want) {
				t.Errorf("%v does not say %q\n%s", problems, want, text)
			}
		})
	}
}
