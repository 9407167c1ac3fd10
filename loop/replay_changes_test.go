package loop_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestReplayOfChanges: what was changed before an incident is kept with it, and a replay sees that and no later change.
func TestReplayOfChanges(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.docs = released(m.docs)
		m.boot()
		defer func() { m.program.shut() }()
		target := m.docs.Services[0].Targets[0].Ref()
		release := jenner.ChangeEvent{Service: "checkout", Target: target, Kind: jenner.ChangeDeploy, Object: "deployment/checkout",
			At: time.Now(), By: "argocd", Summary: "image shop:v1 → shop:v2"}
		old := release
		old.At = release.At.Add(-time.Hour)
		m.program.loop.Changes = func(service string, since time.Time) []jenner.ChangeEvent {
			return slices.DeleteFunc([]jenner.ChangeEvent{release, old}, func(e jenner.ChangeEvent) bool {
				return e.Service != service || e.At.Before(since)
			})
		}
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		time.Sleep(time.Minute)
		one := m.kept("checkout")[0]
		if len(one.scene.Changes) != 1 || !one.scene.Changes[0].At.Equal(release.At) || one.scene.Changes[0].By != "argocd" {
			t.Fatalf("the scene holds the changes %+v, want the release alone", one.scene.Changes)
		}
		finding := func(scene jenner.Scene) (jenner.Finding, string) {
			one := one
			one.scene = scene
			cause, _ := one.replayed(t, m.replay(m.docs)).Incident.Diagnosis.Best()
			i := slices.IndexFunc(cause.Evidence, func(e jenner.Evidence) bool { return e.What == "changed: deploy" })
			return cause.Evidence[i].Finding, cause.Evidence[i].Saw
		}
		if got, saw := finding(one.scene); got != jenner.Matched || !strings.HasPrefix(saw, "deployment/checkout by argocd, ") ||
			!strings.HasSuffix(saw, " before it began: image shop:v1 → shop:v2") {
			t.Errorf("the replay says %s: %q", got, saw)
		}
		other, later := one.scene, one.scene
		other.Changes = slices.Clone(other.Changes)
		other.Changes[0].Service = "till"
		later.Changes = slices.Clone(later.Changes)
		later.Changes[0].At = one.scene.At.Add(time.Minute)
		for name, scene := range map[string]jenner.Scene{"of another service": other, "of later": later} {
			if got, saw := finding(scene); got != jenner.NotMatched {
				t.Errorf("with a change %s it says %s: %q", name, got, saw)
			}
		}
	})
}

// released are the documents in which a release before the trouble is part of what is known of a crash.
func released(docs *jenner.Documents) *jenner.Documents {
	return changed(docs, func(docs *jenner.Documents, _ *jenner.Policy) {
		for i, signature := range docs.Signatures {
			if signature.Name == "crashed" {
				docs.Signatures[i].Evidence = append(slices.Clone(signature.Evidence), jenner.EvidencePattern{Changed: "deploy", Weight: 1})
			}
		}
	})
}
