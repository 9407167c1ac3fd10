package config_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
)

// object is one as a custom resource would be: KIND NAME, and its spec in YAML.
func object(t *testing.T, name, spec string, before ...string) config.Object {
	t.Helper()
	kind, word, _ := strings.Cut(name, " ")
	made := config.Object{Kind: kind, Name: word, Origin: kind + " shop/" + word, Dir: "/", Spec: asJSON(t, spec)}
	for _, one := range before {
		made.Before = asJSON(t, one)
	}
	return made
}

func asJSON(t *testing.T, text string) json.RawMessage {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const (
	stock     = "{targets: [{kind: process, name: stock, start: ./stock}]}"
	crashed   = "{cause: crashed, evidence: [{process: gone, weight: 1}]}"
	restart   = "{steps: [{name: again, action: restart}]}"
	onCrash   = "{incident_type: crashed, runbooks: [restart], mode: auto}"
	noSuchDo  = "{steps: [{name: again, action: restrat}]}"
	wrongUnit = "{steps: [{name: again, action: restart, timeout: 5}]}"
)

func everything(t *testing.T) []config.Object {
	return []config.Object{object(t, "service stock", stock), object(t, "signature crashed", crashed),
		object(t, "runbook restart", restart), object(t, "policy crash", onCrash)}
}

// fate is what became of objects, a line each: NAME CHOICE, and what is wrong.
func fate(standings []config.Standing) string {
	var text strings.Builder
	for _, standing := range standings {
		fmt.Fprintf(&text, "%s %s\n", standing.Object.Name, standing.Choice)
		for _, problem := range standing.Problems {
			fmt.Fprintf(&text, "  %s\n", problem)
		}
	}
	return text.String()
}

// TestObjects: each is in force as it is written, as it was before, or not at all, and the others do not suffer by it.
func TestObjects(t *testing.T) {
	type story struct {
		objects func(t *testing.T) []config.Object
		want    string
	}
	with := func(i int, spec string, before ...string) func(t *testing.T) []config.Object {
		return func(t *testing.T) []config.Object {
			all := everything(t)
			all[i] = object(t, all[i].Kind+" "+all[i].Name, spec, before...)
			return all
		}
	}
	for name, test := range map[string]story{
		"all is right": {everything, "stock spec\ncrashed spec\nrestart spec\ncrash spec\n"},
		"a mistake of form, and what cannot do without it": {with(2, wrongUnit),
			"stock spec\ncrashed spec\nrestart none\n" +
				"  runbook shop/restart: spec.steps[0].timeout: timeout: \"5\" is not a duration; write a number and a unit, such as 300ms, 5s, 10m, 2h or 30d\n" +
				"crash none\n  policy shop/crash: spec.runbooks[0]: unknown runbook \"restart\"\n"},
		"a mistake of meaning": {with(2, noSuchDo),
			"stock spec\ncrashed spec\nrestart none\n  runbook shop/restart: spec.steps[0].action: step again: unknown action \"restrat\"; did you mean \"restart\"?\n" +
				"crash none\n  policy shop/crash: spec.runbooks[0]: unknown runbook \"restart\"\n"},
		"a mistake in what was right before": {with(2, noSuchDo, restart),
			"stock spec\ncrashed spec\nrestart before\n  runbook shop/restart: spec.steps[0].action: step again: unknown action \"restrat\"; did you mean \"restart\"?\n" +
				"crash spec\n"},
		"what was before is wrong, too": {with(3, "{incident_type: crashed, runbooks: [restrat]}", "{incident_type: crashed, runbooks: [gone]}"),
			"stock spec\ncrashed spec\nrestart spec\n" +
				"crash none\n  policy shop/crash: spec.runbooks[0]: unknown runbook \"restrat\"; did you mean \"restart\"?\n"},
		"the same as before is no other version": {with(2, noSuchDo, noSuchDo),
			"stock spec\ncrashed spec\nrestart none\n  runbook shop/restart: spec.steps[0].action: step again: unknown action \"restrat\"; did you mean \"restart\"?\n" +
				"crash none\n  policy shop/crash: spec.runbooks[0]: unknown runbook \"restart\"\n"},
		"an unknown key is told": {with(0, "{targets: [{kind: process, name: stock, start: ./stock}], teir: 1}"),
			"stock none\n  service shop/stock: spec.teir: unknown key \"teir\" in service; did you mean \"tier\"?\n" +
				"crashed spec\nrestart spec\ncrash spec\n"},
		"no mapping": {with(0, "[1, 2]"),
			"stock none\n  service shop/stock: spec: it must be a mapping with the fields of a service\ncrashed spec\nrestart spec\ncrash spec\n"},
		"a name in the spec": {with(0, "{name: stack, targets: [{kind: process, name: stock, start: ./stock}]}"),
			"stock none\n  service shop/stock: metadata.name: the name stands in metadata and in spec; leave it to metadata\ncrashed spec\nrestart spec\ncrash spec\n"},
		"two of one name: the first one stays": {func(t *testing.T) []config.Object {
			second := object(t, "service stock", stock)
			second.Origin = "service other/stock"
			return append(everything(t), second)
		}, "stock spec\ncrashed spec\nrestart spec\ncrash spec\nstock none\n" +
			"  service other/stock: there are two documents of kind service called \"stock\"; the other is service shop/stock\n"},
		"a circle takes nothing else with it": {func(t *testing.T) []config.Object {
			return append(everything(t), object(t, "service a", "{depends_on: [b]}", "{}"), object(t, "service b", "{depends_on: [a]}", "{}"))
		}, "stock spec\ncrashed spec\nrestart spec\ncrash spec\na spec\nb before\n" +
			"  service shop/b: spec.depends_on[0]: dependencies run in a circle: a → b → a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, standings, err := config.LoadObjects(names, test.objects(t))
			if err != nil {
				t.Fatal(err)
			}
			if got := fate(standings); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

const files = `
kind: service
name: stock
targets: [{kind: process, name: stock, start: ./stock}]
---
kind: signature
name: crashed
cause: crashed
evidence: [{process: gone, weight: 1}]
---
kind: runbook
name: restart
steps: [{name: again, action: restart, params: {grace: 1s}}]
---
kind: policy
name: crash
incident_type: crashed
runbooks: [restart]
mode: auto
modes: {production: auto, staging: shadow}
`

// TestFilesAndObjects: objects may refer to files, what stands in both is the file's, and no object takes a file away.
func TestFilesAndObjects(t *testing.T) {
	path := write(t, t.TempDir(), "all.yaml", files)
	second := object(t, "service stock", stock)
	silent := object(t, "service stock", stock)
	silent.Origin, silent.Yields = "discovered service stock", true
	// A web page restarts in another way, without the parameter of the file's runbook.
	page := object(t, "service front", "{targets: [{kind: page, name: front}]}")
	loaded, standings, err := config.LoadObjects(withPages(), []config.Object{second, silent, page,
		object(t, "service other", "{depends_on: [stock], targets: [{kind: process, name: other, start: ./other}]}"),
		object(t, "policy more", "{incident_type: crashed, services: {names: [other]}, runbooks: [restart]}")}, path)
	if err != nil {
		t.Fatal(err)
	}
	want := "stock none\n  service shop/stock: there are two documents of kind service called \"stock\"; the other is at " + path + ":3\n" +
		"stock spec\nfront none\n  service shop/front: spec: with it, this is wrong: " + path +
		":13: step again: unknown key \"grace\" in document\nother spec\nmore spec\n"
	if got := fate(standings); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if docs := loaded.Documents; len(docs.Services) != 2 || docs.Services[0].Source.File != path || docs.Services[1].Name != "other" {
		t.Errorf("in force are %v", docs.Services)
	}
}

// TestAWrongFileRefusesEverything: files are whole or not at all, also beside objects, and need no object.
func TestAWrongFileRefusesEverything(t *testing.T) {
	path := write(t, t.TempDir(), "all.yaml", strings.Replace(files, "runbooks: [restart]", "runbooks: [of-an-object]", 1))
	_, _, err := config.LoadObjects(names, []config.Object{object(t, "runbook of-an-object", restart)}, path)
	if err == nil || !strings.Contains(err.Error(), `all.yaml:18: unknown runbook "of-an-object"`) {
		t.Errorf("the error is %v", err)
	}
}

// TestNothingIsBolderForAMistake: a policy that is wrong may have been written to keep others back.
func TestNothingIsBolderForAMistake(t *testing.T) {
	path := write(t, t.TempDir(), "all.yaml", files)
	for name, test := range map[string]struct {
		object config.Object
		modes  string // of the policies, and of crash in production and staging
		tells  string
	}{
		"right":            {object(t, "policy careful", "{incident_type: crashed, runbooks: [restart], mode: shadow}"), "crash auto, careful shadow; auto shadow", ""},
		"never right":      {object(t, "policy careful", "{incident_type: crashed, runbooks: [reboot], mode: shadow}"), "crash recommend; recommend shadow", "only recommends: crash"},
		"about what?":      {object(t, "policy careful", "{runbooks: [restart]}"), "crash recommend; recommend shadow", "only recommends: crash"},
		"about another":    {object(t, "policy careful", "{incident_type: leak, runbooks: [reboot]}"), "crash auto; auto shadow", ""},
		"right before":     {object(t, "policy careful", "{incident_type: crashed, runbooks: [reboot], mode: shadow}", onCrash), "crash auto, careful recommend; auto shadow", "only recommends: careful"},
		"shy before":       {object(t, "policy careful", "{incident_type: crashed, runbooks: [reboot], mode: auto}", "{incident_type: crashed, runbooks: [restart], mode: shadow}"), "crash auto, careful shadow; auto shadow", ""},
		"another document": {object(t, "runbook careful", noSuchDo), "crash auto; auto shadow", ""},
	} {
		t.Run(name, func(t *testing.T) {
			loaded, standings, err := config.LoadObjects(names, []config.Object{test.object}, path)
			if err != nil {
				t.Fatal(err)
			}
			var modes []string
			for _, policy := range loaded.Documents.Policies {
				modes = append(modes, fmt.Sprint(policy.Name, " ", policy.EffectiveMode()))
			}
			crash := loaded.Documents.Policies[0]
			got := strings.Join(modes, ", ") + fmt.Sprint("; ", crash.ModeFor("production"), " ", crash.ModeFor("staging"))
			if got != test.modes {
				t.Errorf("the modes are %q, want %q", got, test.modes)
			}
			if told := standings[0].Warnings.Error(); test.tells == "" && strings.Contains(told, "only recommends") || !strings.Contains(told, test.tells) {
				t.Errorf("it is told %q, want %q", told, test.tells)
			}
		})
	}
	again, _, err := config.LoadObjects(names, nil, path)
	if err != nil || again.Documents.Policies[0].EffectiveMode() != jenner.ModeAuto {
		t.Errorf("what one loading lowered stays low in the next one: %v", err)
	}
}

// TestARunbookWithoutServiceIsNoMistake: objects are applied one after the other, runbooks often first.
func TestARunbookWithoutServiceIsNoMistake(t *testing.T) {
	_, standings, err := config.LoadObjects(names, []config.Object{object(t, "runbook restart", restart), object(t, "runbook wrong", noSuchDo)})
	if err != nil {
		t.Fatal(err)
	}
	if standings[0].Choice != config.ChoseSpec || !strings.Contains(standings[0].Warnings.Error(), "no policy uses runbook restart") {
		t.Errorf("a runbook that nothing uses yet is %v: %v %v", standings[0].Choice, standings[0].Problems, standings[0].Warnings)
	}
	if standings[1].Choice != config.ChoseNone {
		t.Error("an action that nobody knows is taken where there is no service yet")
	}
}
