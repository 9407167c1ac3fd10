package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path"
	"strings"
	"time"
)

func init() {
	for _, s := range []struct {
		id, name, about string
		files           string // folder below kube; as the name where empty
		experiment      string
		build           func(ctx context.Context, w *world) error
	}{
		{"S5", "configmap", "somebody changes a ConfigMap by hand; it is put back as in the files", "", "", buildDesired},
		{"S7", "crash-loop", "a release crashes at its start; it is rolled back to the one that was seen healthy", "", "", buildVerified},
		{"S7", "gives-up", "pods crash whenever they start; they are replaced twice at most, and a person is called", "", "", buildShop},
		{"S10", "errors", "a release answers with errors; it is rolled back", "release", "errors.yaml", buildVisited},
		{"S10", "latency", "a release answers late; it is rolled back", "release", "latency.yaml", buildVisited},
		{"S10", "orders", "a release answers as before and loses orders; it is rolled back", "release", "orders.yaml", buildVisited},
		{"S10", "silent", "nobody uses a new release; that is neither good nor bad, and a person is told", "", "", buildVerified},
		{"S18", "deployments-blind", "a Deployment's database is gone and nobody said that it needs it: two restarts at most, then a page", "", "", buildTwo},
		{"S18", "deployments-topology", "a Deployment's database is gone and it is known who needs it: it is not restarted at all", "", "", buildTwo},
	} {
		scenarios = append(scenarios, scenario{id: s.id, name: s.name, about: s.about, kube: true, rounds: 3, needs: kubeNeeds,
			files: "kube/" + cmp.Or(s.files, s.name) + "/jenner", experiment: s.experiment, build: s.build})
	}
}

func buildShop(ctx context.Context, w *world) error { return w.inCluster(ctx, "deployment/shop") }

func buildTwo(ctx context.Context, w *world) error {
	return w.inCluster(ctx, "deployment/db", "deployment/shop")
}

// buildVerified starts the shop and marks its first revision as seen healthy, as the pipeline that releases it would: by the
// revision's name, since Kubernetes copies annotations from one to the next, and the time.
func buildVerified(ctx context.Context, w *world) error {
	if err := buildShop(ctx, w); err != nil {
		return err
	}
	revision, err := w.kubectl(ctx, "", "get", "replicasets", "--selector", "app=shop", "-o", "name")
	if err != nil {
		return err
	}
	revision = strings.TrimSpace(revision)
	mark := "jenner.dev/verified=" + path.Base(revision) + " " + time.Now().UTC().Format(time.RFC3339)
	_, err = w.kubectl(ctx, "", "annotate", revision, mark)
	return err
}

// buildVisited has the shop visited, who place orders.
func buildVisited(ctx context.Context, w *world) error {
	if err := buildVerified(ctx, w); err != nil {
		return err
	}
	address, err := w.Address("visitors")
	if err != nil {
		return err
	}
	if err := w.app("visitors", "--url", "http://"+w.Values["shop.ip"]+"/orders", "--method", "POST", "--listen", address); err != nil {
		return err
	}
	return w.answers(ctx, "http://"+address+"/healthz")
}

// buildDesired writes down what the ConfigMap is to be, beside the documents.
func buildDesired(ctx context.Context, w *world) error {
	desired, err := documents.ReadFile("kube/configmap/cluster/config.yaml")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(w.path("desired"), 0o755), writeFile(w.path("desired", "config.yaml"), string(desired)), buildShop(ctx, w))
}
