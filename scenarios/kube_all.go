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
		worlds          int // three rounds in one world where not said
	}{
		{"S1", "node", "a node loses its power; its pods serve elsewhere before Kubernetes itself gives it up", "", "", buildOnNodes, 1},
		{"S3", "oom", "pods are killed for needing more memory than they may have; they get more, up to a ceiling", "", "", buildShop, 3},
		{"S3", "killed", "a container is killed and cannot start on what it left; its pod is replaced, with clean state", "", "", buildShop, 0},
		{"S3", "evicted", "a pod is evicted; it finishes its work, Kubernetes replaces it, and Jenner does nothing", "", "", buildVisited, 0},
		{"S5", "configmap", "somebody changes a ConfigMap by hand; it is put back as in the files", "", "", buildDesired, 0},
		{"S6", "never-ready", "a scale-out's new pod never gets ready; its configuration is repaired, and it is replaced", "", "", buildDesired, 0},
		{"S7", "crash-loop", "a release crashes at its start; it is rolled back to the one that was seen healthy", "", "", buildVerified, 0},
		{"S7", "gives-up", "pods crash whenever they start; they are replaced twice at most, and a person is called", "", "", buildShop, 0},
		{"S10", "errors", "a release answers with errors; it is rolled back", "release", "errors.yaml", buildVisited, 0},
		{"S10", "latency", "a release answers late; it is rolled back", "release", "latency.yaml", buildVisited, 0},
		{"S10", "orders", "a release answers as before and loses orders; it is rolled back", "release", "orders.yaml", buildVisited, 0},
		{"S10", "silent", "nobody uses a new release; that is neither good nor bad, and a person is told", "", "", buildVerified, 0},
		{"S17", "runaway", "an autoscaler makes more pods than were agreed; it is held back, and nobody is turned away", "", "", buildVisited, 0},
		{"S17", "cost", "scaling out does not help; it stops at its ceiling and its budget, and a person is called", "", "", buildVisited, 3},
		{"S18", "deployments-blind", "a Deployment's database is gone and nobody said that it needs it: two restarts at most, then a page", "", "", buildTwo, 0},
		{"S18", "deployments-topology", "a Deployment's database is gone and it is known who needs it: it is not restarted at all", "", "", buildTwo, 0},
	} {
		scenarios = append(scenarios, scenario{id: s.id, name: s.name, about: s.about, kube: true, needs: kubeNeeds,
			worlds: max(1, s.worlds), rounds: cmp.Or(s.worlds, 3),
			files: "kube/" + cmp.Or(s.files, s.name) + "/jenner", experiment: s.experiment, build: s.build})
	}
}

func buildShop(ctx context.Context, w *world) error { return w.inCluster(ctx, "deployment/shop") }

// buildOnNodes also says how a node of the lab is stopped.
func buildOnNodes(ctx context.Context, w *world) error {
	if w.Values["kubelab"] = os.Getenv("KUBELAB"); w.Values["kubelab"] == "" {
		return errors.New("only nodes of kubelab can be stopped, and KUBELAB is not set; `make scenarios-kube` starts one")
	}
	return buildShop(ctx, w)
}

func buildTwo(ctx context.Context, w *world) error {
	return w.inCluster(ctx, "deployment/db", "deployment/shop")
}

// buildVerified starts the shop, whose first revision is seen healthy.
func buildVerified(ctx context.Context, w *world) error {
	if err := buildShop(ctx, w); err != nil {
		return err
	}
	return w.verified(ctx)
}

// verified marks the shop's first revision as seen healthy, as the pipeline that releases it would: by the revision's name,
// since Kubernetes copies annotations from one to the next, and the time.
func (w *world) verified(ctx context.Context) error {
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
	desired, err := documents.ReadFile(path.Join(path.Dir(w.files), "cluster", "config.yaml"))
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(w.path("desired"), 0o755), writeFile(w.path("desired", "config.yaml"), string(desired)), buildShop(ctx, w))
}
