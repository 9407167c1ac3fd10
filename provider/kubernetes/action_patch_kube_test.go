//go:build kube

package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

const settings = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: red, size: big}}"

func TestPatchConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		g.as("people", settings)
		target := g.target(kindConfigMap, "settings")
		return actiontest.World{Action: g.made("patch", kindConfigMap, "{patch: {data: {color: blue, shape: round}}}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.meddle(target, `{"data":{"color":"green"}}`) }}
	})
}

func TestEveryTypeOfPatchIsTakenBackExactly(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	before := jsonOf(written(g.live(target).Object))
	for name, params := range map[string]string{
		"merge":     "{patch: {spec: {template: {spec: {priorityClassName: null, securityContext: {runAsUser: 65532}}}}}}",
		"strategic": "{type: strategic, patch: {spec: {template: {spec: {containers: [{name: app, env: [{name: DELAY, value: 5ms}]}]}}}}}",
		"json": "{type: json, patch: [{op: test, path: /spec/replicas, value: 1}, {op: add, path: /spec/template/spec/containers/0/env, " +
			"value: [{name: DELAY, value: 5ms}]}, {op: add, path: /metadata/labels, value: {a: b}}]}",
	} {
		deed := g.deed("patch", target, params)
		if result := deed.must(); !result.Changed || jsonOf(written(g.live(target).Object)) == before {
			t.Errorf("%s: %+v", name, result)
		}
		// What others do elsewhere in the object meanwhile is kept.
		g.meddle(target, `{"metadata":{"labels":{"other":"`+name+`"}}}`)
		deed.undo()
		g.meddle(target, `{"metadata":{"labels":{"other":null}}}`)
		if after := jsonOf(written(g.live(target).Object)); after != before {
			t.Errorf("%s: before\n%s\nafter the undo\n%s", name, before, after)
		}
	}
}

func TestAPatchKeepsToItsTarget(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", settings)
	target := g.target(kindConfigMap, "settings")
	g.deed("patch", target, "{patch: {metadata: {finalizers: [jenner.dev/x]}}}").refused("would change its finalizers")
	g.deed("patch", target, "{patch: {metadata: {name: other}}}").refused("configmap " + g.ns + "/settings")
	g.deed("patch", target, "{type: json, patch: [{op: test, path: /data/color, value: blue}]}").refused("configmap " + g.ns + "/settings")
}

func TestSomebodyFasterIsNotOverwritten(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", settings)
	target := g.target(kindConfigMap, "settings")
	deed := g.deed("patch", target, "{patch: {data: {color: blue}}}")
	if err := deed.checkpoint(); err != nil {
		t.Fatal(err)
	}
	g.meddle(target, `{"data":{"size":"small"}}`) // elsewhere: no matter
	g.meddle(target, `{"data":{"color":"green"}}`)
	_, err := deed.make().Do(t.Context(), deed.call)
	if err == nil || !strings.Contains(err.Error(), "somebody else changed data.color") || jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("%v", err)
	}
	if deed.happened() != act.HappenedUnknown {
		t.Errorf("it is said to be %s", deed.happened())
	}
}

// inFile is a target whose files lie in a folder.
func (g *ground) inFile(kind, name, text string) (jenner.Target, string) {
	g.t.Helper()
	target := g.target(kind, name)
	target.Dir = g.t.TempDir()
	file := filepath.Join(target.Dir, "objects.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return target, file
}

func TestRevertDriftConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		g.as("kubectl-client-side-apply", settings)
		target, _ := g.inFile(kindConfigMap, "settings", "kind: Other\n---\n"+settings)
		g.meddle(target, `{"data":{"size":"small"}}`)
		g.as("kubectl-edit", strings.Replace(settings, "red", "blue", 1))
		return actiontest.World{Action: g.made("revert_drift", kindConfigMap, "{file: objects.yaml, take_from: [somebody]}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.meddle(target, `{"data":{"color":"green"}}`) }}
	})
}

func TestDriftIsTakenFromPeopleAndNotFromPrograms(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("kubectl", settings)
	target, _ := g.inFile(kindConfigMap, "settings", settings)
	g.as("kubectl-edit", "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: blue}}")
	g.as("autopilot", "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {extra: kept}}")
	deed := g.deed("revert_drift", target, "{file: objects.yaml}")
	if result := deed.must(); !strings.Contains(result.Summary, "data.color as in objects.yaml again") {
		t.Error(result.Summary)
	}
	if data := jsonOf(slot{"data"}.read(g.live(target).Object)); data != `{"color":"red","extra":"kept","size":"big"}` {
		t.Errorf("it holds %s", data)
	}
	if result := g.deed("revert_drift", target, "{file: objects.yaml}").must(); result.Changed {
		t.Errorf("nothing had drifted: %+v", result)
	}
	g.as("autopilot", "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: white}}")
	g.deed("revert_drift", target, "{file: objects.yaml}").refused("autopilot holds .data.color", "take_from")
	g.deed("revert_drift", target, "{file: objects.yaml, take_from: [auto*]}").must()
	g.deed("revert_drift", g.target(kindConfigMap, "settings"), "{file: /nowhere.yaml}").refused("/nowhere.yaml")
}

func TestDriftAgainstWhatIsCommitted(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("kubectl", settings)
	target, file := g.inFile(kindConfigMap, "settings", settings)
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=ann", "-c", "user.email=ann@example.org", "commit", "-qm", "settings"}} {
		git := exec.Command("git", append([]string{"-C", target.Dir}, args...)...)
		if said, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v, %s; apt-get install git", args, err, said)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Replace(settings, "red", "half-written", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	g.as("kubectl-edit", strings.Replace(settings, "red", "blue", 1))
	g.deed("revert_drift", target, "{file: objects.yaml, revision: HEAD}").must()
	if color := (slot{"data", "color"}).read(g.live(target).Object); color != "red" {
		t.Errorf("it is %v", color)
	}
	g.deed("revert_drift", target, "{file: objects.yaml, revision: nobranch}").refused("git cannot show objects.yaml at nobranch")
}

// TestDriftIsRevertedToTheTargetsOwnManifest, by which it was seen; a target without one is refused, before anything is done.
func TestDriftIsRevertedToTheTargetsOwnManifest(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("kubectl", strings.Replace(settings, "red", "blue", 1))
	target, _ := g.inFile(kindConfigMap, "settings", settings)
	g.deed("revert_drift", target, "{}").refused("nobody says how configmap " + g.ns + "/settings is to be")
	target.Params["desired"] = jenner.Raw("objects.yaml")
	g.deed("revert_drift", target, "{}").must()
	if color := (slot{"data", "color"}).read(g.live(target).Object); color != "red" {
		t.Errorf("it is %v", color)
	}
}
