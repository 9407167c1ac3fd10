//go:build kube

package kubernetes

import (
	"slices"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/telemetry"
)

// with is the service as somebody sees it who has exactly the rights that this needs.
func (p *post) with(service jenner.Service, needs jenner.NeedsRights) jenner.Service {
	p.t.Helper()
	target := service.Targets[0]
	rights, err := needs.Rights(service, target)
	if err != nil || len(rights) == 0 {
		p.t.Fatal(rights, err)
	}
	slices.SortFunc(rights, jenner.Right.Compare)
	service.Targets = []jenner.Target{p.by(target, slices.Compact(rights))}
	return service
}

// TestTheRightsOfProbesAreEnough: each gets its answer with exactly the rights that it asks for.
func TestTheRightsOfProbesAreEnough(t *testing.T) {
	t.Parallel()
	probes := map[string]func() telemetry.Probe{
		"kubernetes.alive":     func() telemetry.Probe { return &ProbeAlive{} },
		"kubernetes.endpoints": func() telemetry.Probe { return &ProbeEndpoints{Min: 1} },
		"kubernetes.exec": func() telemetry.Probe {
			return &ProbeExec{Command: []string{"/app", "burn", "--cores", "0", "--for", "1ms"}}
		},
		"kubernetes.pod_http": func() telemetry.Probe { return &ProbePodHTTP{Port: 8080, Path: "/readyz", Through: throughProxy} },
		"kubernetes.rollout":  func() telemetry.Probe { return &ProbeRollout{} },
		"kubernetes.workload": func() telemetry.Probe { return &ProbeWorkload{} },
	}
	p := newPost(t)
	p.as("people", appOf("web", 1, "v1"))
	p.as("people", "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}")
	for _, entry := range catalog.Merge(Provider).Probes() {
		make, known := probes[entry.Name]
		if !known {
			t.Errorf("%s is not among the probes that are tried with exactly their rights", entry.Name)
			continue
		}
		t.Run(entry.Name, func(t *testing.T) {
			mine := p.of(t)
			mine.answers(make(), callOf(mine.with(p.service(kindDeployment, "web"), make().(jenner.NeedsRights))), telemetry.OK, "")
		})
	}
}

// TestTheRightsOfObserversAreEnough: with exactly the rights that it asks for, each observer is blind to nothing, whatever
// the kind of the target.
func TestTheRightsOfObserversAreEnough(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.as("people", appOf("web", 0, "v1"))
	for _, entry := range catalog.Merge(Provider).Observers() {
		for _, kind := range entry.Kinds {
			t.Run(entry.Name+" of "+kind, func(t *testing.T) {
				mine := p.of(t)
				service := p.service(kind, "web")
				if manifestKinds[kind] != "" && entry.Name == "kubernetes.drift" {
					target, _ := mine.inFile(kind, "web", "{kind: "+manifestKinds[kind]+", metadata: {name: web}}")
					target.Params["desired"] = jenner.Raw("objects.yaml")
					service.Targets[0] = target
				}
				service = mine.with(service, entry.New().(jenner.NeedsRights))
				mine.observe(entry.New(), service)
				mine.until("it has seen all that there is", func() bool { return mine.isSynced(service) || mine.isBlind("") })
				if mine.isBlind("") {
					t.Errorf("it is blind: %s", mine.notebook)
				}
			})
		}
	}
}
