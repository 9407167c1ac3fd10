package main

import "context"

func init() {
	for _, s := range []struct {
		id, name, about string
		workloads       []string
	}{
		{"S7", "crash-loop", "a release crashes at its start; it is rolled back to the one that was seen healthy", []string{"deployment/shop"}},
		{"S7", "gives-up", "pods crash on their configuration; they are replaced twice at most, and a person is called", []string{"deployment/shop"}},
		{"S5", "configmap", "somebody changes a ConfigMap by hand; it is put back as in the files", []string{"deployment/shop"}},
		{"S18", "deployments-blind", "a Deployment's database is gone and nobody said that it needs it: two restarts at most, then a page",
			[]string{"deployment/db", "deployment/shop"}},
		{"S18", "deployments-topology", "a Deployment's database is gone and it is known who needs it: the Deployment is not restarted at all",
			[]string{"deployment/db", "deployment/shop"}},
	} {
		scenarios = append(scenarios, scenario{id: s.id, name: s.name, about: s.about, kube: true, files: "kube/" + s.name + "/jenner", rounds: 3,
			needs: kubeNeeds, build: func(ctx context.Context, w *world) error { return w.inCluster(ctx, s.workloads...) }})
	}
}
