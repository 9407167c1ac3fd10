package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
)

// live is a Deployment as the API server gives it, with all that it and its controllers add.
const liveObject = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  uid: u-1
  resourceVersion: "7"
  labels: {app: web, added: by-somebody}
  annotations: {deployment.kubernetes.io/revision: "3", team: shop}
spec:
  replicas: 3
  revisionHistoryLimit: 10
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      restartPolicy: Always
      containers:
      - {name: injected, image: "envoy:1"}
      - name: app
        image: shop:v1
        args: [serve, --port, "8080"]
        env: [{name: B, value: "2"}, {name: A, value: "1"}, {name: ADDED, value: x}]
        ports: [{containerPort: 8080, protocol: TCP}]
        resources: {requests: {cpu: 500m, memory: 1Gi}}
        volumeMounts: [{mountPath: /etc/app, name: config}]
      volumes: [{name: config, configMap: {name: web, defaultMode: 420}}]
status: {replicas: 3}
`

func TestDeviations(t *testing.T) {
	for name, c := range map[string]struct{ want, differ string }{
		"a part of it":              {`spec: {replicas: 3, template: {spec: {containers: [{name: app, image: "shop:v1"}]}}}`, ""},
		"in another order":          {`spec: {template: {spec: {containers: [{name: app, env: [{name: A, value: "1"}, {name: B, value: "2"}]}]}}}`, ""},
		"quantities in other words": {`spec: {template: {spec: {containers: [{name: app, resources: {requests: {cpu: 0.5, memory: 1024Mi}}}]}}}`, ""},
		"what only the server writes": {`metadata: {name: web, namespace: elsewhere, resourceVersion: "1", creationTimestamp: null}
status: {replicas: 9}`, ""},
		"what is left to the server":    {`spec: {paused: null, strategy: {}}`, ""},
		"another number":                {`spec: {replicas: 5}`, "spec.replicas is 3, not 5"},
		"a number as a text":            {`spec: {template: {spec: {containers: [{name: app, ports: [{containerPort: "8080"}]}]}}}`, ""},
		"another image":                 {`spec: {template: {spec: {containers: [{name: app, image: "shop:v2"}]}}}`, `spec.template.spec.containers[app].image is "shop:v1", not "shop:v2"`},
		"another value":                 {`spec: {template: {spec: {containers: [{name: app, env: [{name: A, value: "3"}]}]}}}`, `spec.template.spec.containers[app].env[A].value is "1", not "3"`},
		"more memory":                   {`spec: {template: {spec: {containers: [{name: app, resources: {requests: {memory: 2Gi}}}]}}}`, `spec.template.spec.containers[app].resources.requests.memory is "1Gi", not "2Gi"`},
		"a limit that is not there":     {`spec: {template: {spec: {containers: [{name: app, resources: {limits: {cpu: 1}}}]}}}`, `spec.template.spec.containers[app].resources.limits is missing, not map[cpu:1]`},
		"a container that is not there": {`spec: {template: {spec: {containers: [{name: proxy, image: "p:1"}]}}}`, `spec.template.spec.containers[proxy] is missing, not map[image:p:1 name:proxy]`},
		"arguments in another order":    {`spec: {template: {spec: {containers: [{name: app, args: [--port, serve, "8080"]}]}}}`, `spec.template.spec.containers[app].args[0] is "serve", not "--port"; spec.template.spec.containers[app].args[1] is "--port", not "serve"`},
		"an argument less":              {`spec: {template: {spec: {containers: [{name: app, args: [serve]}]}}}`, "spec.template.spec.containers[app].args is [serve --port 8080], not [serve]"},
		"a label":                       {`metadata: {labels: {app: web, tier: "1"}}`, `metadata.labels.tier is missing, not "1"`},
		"an annotation":                 {`metadata: {annotations: {team: till}}`, `metadata.annotations.team is "shop", not "till"`},
		"another shape":                 {`spec: {strategy: Recreate}`, `spec.strategy is map[rollingUpdate:map[maxSurge:25% maxUnavailable:25%] type:…, not "Recreate"`},
	} {
		t.Run(name, func(t *testing.T) {
			var want, is map[string]any
			for text, into := range map[string]*map[string]any{c.want: &want, liveObject: &is} {
				if err := yaml.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(err)
				}
			}
			var texts []string
			for _, one := range deviations(want, is) {
				texts = append(texts, one.String())
			}
			if got := strings.Join(texts, "; "); got != c.differ {
				t.Errorf("it says  %s\nwant     %s", got, c.differ)
			}
		})
	}
}

func TestDesired(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "web.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(arguments ...string) {
		command := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, arguments...)...)
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s (apt-get install git)", arguments, err, said)
		}
	}
	const others = "# of others\nkind: Service\nmetadata: {name: web}\n---\nkind: Deployment\nmetadata: {name: till}\n---\nkind: Deployment\nmetadata: {name: web, namespace: test}\n---\n"
	write(others + "kind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n")
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	write(others + "kind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {replicas: 2}\n")
	for name, c := range map[string]struct {
		params jenner.Params
		want   string
		error  string
	}{
		"the file":       {jenner.Params{"desired": jenner.Raw("web.yaml")}, "2", ""},
		"as committed":   {jenner.Params{"desired": jenner.Raw("web.yaml"), "revision": jenner.Raw("main")}, "1", ""},
		"no such commit": {jenner.Params{"desired": jenner.Raw("web.yaml"), "revision": jenner.Raw("other")}, "", "git cannot show "},
		"no such file":   {jenner.Params{"desired": jenner.Raw("till.yaml")}, "", "no such file"},
		"no such object": {jenner.Params{"desired": jenner.Raw("web.yaml"), "object": jenner.Raw("db")}, "", "holds no Deployment db"},
	} {
		c.params["namespace"] = jenner.Raw("shop")
		target, err := decode(jenner.Target{Kind: kindDeployment, Name: "web", Dir: dir, Params: c.params})
		if err != nil {
			t.Fatal(err)
		}
		object, err := target.desired()
		got := ""
		if spec, has := object["spec"].(map[string]any); has {
			got = excerpt(spec["replicas"])
		}
		if got != c.want || (err != nil) != (c.error != "") || err != nil && !strings.Contains(err.Error(), c.error) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWrongTargets(t *testing.T) {
	for name, target := range map[string]jenner.Target{
		"a revision of nothing":        {Kind: kindDeployment, Name: "web", Params: jenner.Params{"revision": jenner.Raw("main")}},
		"a revision that is an option": {Kind: kindDeployment, Name: "web", Params: jenner.Params{"desired": jenner.Raw("web.yaml"), "revision": jenner.Raw("--output=/etc/passwd")}},
		"a longest time of a workload": {Kind: kindDeployment, Name: "web", Params: jenner.Params{"longest": jenner.Raw("1h")}},
	} {
		if _, err := decode(target); err == nil {
			t.Errorf("%s is allowed", name)
		}
	}
}
