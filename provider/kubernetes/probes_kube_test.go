//go:build kube

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/telemetry"
)

// ask asks a probe once, as the prober does.
func (p *post) ask(probe telemetry.Probe, call telemetry.ProbeCall) telemetry.Result {
	ctx, cancel := context.WithTimeout(p.t.Context(), await.Patience)
	defer cancel()
	return probe.Probe(ctx, call)
}

// answers waits until a probe answers so.
func (p *post) answers(probe telemetry.Probe, call telemetry.ProbeCall, want telemetry.Outcome, says string) {
	p.t.Helper()
	var got telemetry.Result
	p.until(fmt.Sprintf("%T answers %s: %s", probe, want, says), func() bool {
		got = p.ask(probe, call)
		return got.Outcome == want && strings.Contains(got.Message, says)
	})
}

func callOf(service jenner.Service) telemetry.ProbeCall {
	return telemetry.ProbeCall{Service: service, Target: service.Targets[0]}
}

// TestProbesConform runs the suite of all probes against workloads that serve and that never do.
func TestProbesConform(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	const front = "{apiVersion: v1, kind: Service, metadata: {name: %[1]s}, spec: {selector: {app: %[1]s}, ports: [{port: 80, targetPort: 8080}]}}"
	p.as("people", appOf("web", 1, "v1"))
	p.as("people", fmt.Sprintf(front, "web")+"\n---\n"+fmt.Sprintf(front, "sick"))
	p.as("people", appOf("sick", 1, "v1", "NEVER_READY=1"))
	p.as("people", appOf("gone", 1, "crash"))
	web, sick, gone := p.service("deployment", "web"), p.service("deployment", "sick"), p.service("deployment", "gone")
	p.answers(&ProbeRollout{}, callOf(web), telemetry.OK, "")
	p.answers(&ProbeEndpoints{Min: 1}, callOf(web), telemetry.OK, "")
	p.answers(&ProbeAlive{}, callOf(sick), telemetry.OK, "") // it lives and does not serve
	p.answers(&ProbeAlive{}, callOf(gone), telemetry.Failed, "CrashLoopBackOff")
	p.answers(&ProbeEndpoints{Min: 1}, callOf(sick), telemetry.Failed, "0 are ready")
	for name, c := range map[string]struct {
		make func() telemetry.Probe
		bad  jenner.Service
	}{
		"workload":  {func() telemetry.Probe { return &ProbeWorkload{} }, sick},
		"rollout":   {func() telemetry.Probe { return &ProbeRollout{} }, sick},
		"endpoints": {func() telemetry.Probe { return &ProbeEndpoints{Min: 1} }, sick},
		"exec": {func() telemetry.Probe {
			return &ProbeExec{Command: []string{"/app", "burn", "--cores", "0", "--for", "1ms"}}
		}, sick},
		"pod_http": {func() telemetry.Probe { return &ProbePodHTTP{Port: 8080, Path: "/readyz"} }, sick},
	} {
		setup := func(service jenner.Service) probetest.Setup {
			return func(*testing.T) (telemetry.Probe, telemetry.ProbeCall) { return c.make(), callOf(service) }
		}
		t.Run(name, func(t *testing.T) { conforms(t, probetest.Suite{OK: setup(web), Failing: setup(c.bad)}) })
	}
}

// conforms is the suite, but for counting goroutines: connections to the API server are kept.
func conforms(t *testing.T, suite probetest.Suite) {
	t.Helper()
	for want, setup := range map[telemetry.Outcome]probetest.Setup{telemetry.OK: suite.OK, telemetry.Failed: suite.Failing} {
		probe, call := setup(t)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			got := probe.Probe(ctx, call)
			cancel()
			if got.Outcome != want || (got.Message == "") != (want == telemetry.OK) {
				t.Fatalf("%+v, want %s", got, want)
			}
		}
	}
	probe, call := suite.OK(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := probe.Probe(ctx, call); got.Outcome == telemetry.Failed {
		t.Errorf("a question taken back: %+v", got)
	}
}

// TestProbesHearOfChanges: Watch returns when a pod changes, and what is asked then comes from the watch, without a question
// to the API server. It counts these, and so is serial.
func TestProbesHearOfChanges(t *testing.T) {
	p := newPost(t)
	p.as("people", appOf("web", 1, "v1"))
	call := callOf(p.service("deployment", "web"))
	probe := &ProbeAlive{}
	p.answers(&ProbeWorkload{}, call, telemetry.OK, "")
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	one, in, err := subjectOf("web", call.Target)
	if err != nil {
		t.Fatal(err)
	}
	held := in.tower.hold(thePods, in.namespace, "")
	defer held.release()
	p.until("the pods are watched", func() bool { return in.tower.peek(thePods, in.namespace) != nil })
	p.ask(probe, call)
	before := in.tower.cluster.asked.Load()
	for range 20 {
		p.ask(probe, call)
	}
	if more := in.tower.cluster.asked.Load() - before; more > 5 { // others of this process ask whether the API server lives
		t.Errorf("20 questions took %d requests", more)
	}
	pods := one.theirs(held)
	if len(pods) != 1 {
		t.Fatalf("%d pods are watched", len(pods))
	}
	woken := make(chan error, 1)
	go func() { woken <- probe.Watch(ctx, call) }()
	p.remove("Pod", pods[0].Name)
	if err := <-woken; err != nil {
		t.Errorf("the end of the pod was not heard of: %v", err)
	}
}

// TestPodHTTPSeesWhatReadinessDoesNot, and says which pod.
func TestPodHTTPSeesWhatReadinessDoesNot(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.as("people", appOf("web", 2, "v1"))
	call := callOf(p.service("deployment", "web"))
	p.answers(&ProbeWorkload{}, call, telemetry.OK, "")
	for _, through := range []string{throughPod, throughProxy} {
		p.answers(&ProbePodHTTP{Port: 8080, Path: "/readyz", Through: through}, call, telemetry.OK, "")
		p.answers(&ProbePodHTTP{Port: 8080, Path: "/nowhere", Through: through}, call, telemetry.Failed, "0 of 2 ready pods of deployment/web answer rightly")
		p.answers(&ProbePodHTTP{Port: 9, Path: "/", Through: through}, call, telemetry.Failed, "answer rightly")
	}
	p.answers(&ProbeExec{Command: []string{"/no/such/program"}}, call, telemetry.Failed, "/no/such/program")
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	mark := func(text, service, annotations string) string {
		return strings.Replace(text, "metadata: {name: ", "metadata: {labels: {jenner.dev/service: "+service+"}, annotations: {"+annotations+"}, name: ", 1)
	}
	p.as("people", mark(appOf("web", 0, "v1"), "shop", `jenner.dev/owner: shop-team, jenner.dev/tier: "1", jenner.dev/depends-on: db`))
	p.as("people", mark(appOf("worker", 0, "v1"), "shop", ""))
	p.as("people", mark(appOf("db", 0, "v1"), "db", ""))
	p.as("people", appOf("other", 0, "v1"))
	found, err := Discover(t.Context(), "", "", []string{p.ns})
	if err != nil || len(found) != 2 || found[1].Name != "shop" || found[1].Owner != "shop-team" || found[1].Tier != 1 ||
		!slices.Equal(found[1].DependsOn, []string{"db"}) || len(found[1].Targets) != 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	everywhere, err := Discover(t.Context(), "", "", nil)
	if err != nil || !slices.ContainsFunc(everywhere, func(s jenner.Service) bool { return s.Name == "shop" }) {
		t.Errorf("in the whole cluster %d services are found, %v", len(everywhere), err)
	}
	p.observe(&ObserverPods{}, found...)
	p.until("what was found can be observed", func() bool { return p.isSynced(found[0]) && p.isSynced(found[1]) })
}
