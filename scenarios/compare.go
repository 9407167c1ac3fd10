package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner/internal/lab"
)

// Whatever has not become healthy after this long is taken for not healed.
const (
	healthyPatience = 60 * time.Second
	healthyFor      = 2 * time.Second // so long it must answer well
	healthyIn       = 200 * time.Millisecond
)

// trouble is one way in which the Deployment shop gets into trouble, as anybody with kubectl can make it.
type trouble struct {
	name string
	make func(ctx context.Context, w *world) error
}

var troubles = []trouble{
	{"kill", func(ctx context.Context, w *world) error { return w.post(ctx, "/crash") }},
	{"hang", func(ctx context.Context, w *world) error { return w.post(ctx, "/hang") }},
	{"bad configuration", func(ctx context.Context, w *world) error {
		_, err := w.kubectl(ctx, "", "patch", "configmap", "shop", "--type", "merge", "-p", `{"data":{"config.yaml":"broken"}}`)
		if err == nil { // the next pod reads it; one that runs is shown it within a minute
			_, err = w.kubectl(ctx, "", "delete", "pod", "--selector", "app=shop", "--wait=false")
		}
		return err
	}},
	{"bad release", func(ctx context.Context, w *world) error {
		_, err := w.kubectl(ctx, "", "set", "env", "deployment/shop", "FAIL_RATE=0.5")
		return err
	}},
}

// helpers are who looks after the Deployment.
var helpers = []struct {
	name     string
	liveness string // of its pods, as YAML
	jenner   bool
}{
	{"Kubernetes alone", "{httpGet: {path: /livez, port: 8080}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1}", false},
	{"Jenner, no liveness probe", "null", true},
	{"both", "{httpGet: {path: /livez, port: 8080}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1}", true},
}

// compare measures for each trouble and each helper how long it takes until the service is healthy again, and prints a table
// in Markdown: the median of some rounds, and the longest one. Names choose troubles; all where there are none.
func compare(ctx context.Context, rounds int, names []string, keep bool) error {
	for _, name := range names {
		if !slices.ContainsFunc(troubles, func(t trouble) bool { return t.name == name }) {
			return fmt.Errorf("there is no trouble %q", name)
		}
	}
	programs, err := buildPrograms(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(programs)
	table := &strings.Builder{}
	fmt.Fprint(table, "| trouble |")
	for _, helper := range helpers {
		fmt.Fprintf(table, " %s |", helper.name)
	}
	fmt.Fprintf(table, "\n|---|%s\n", strings.Repeat("---|", len(helpers)))
	for _, trouble := range troubles {
		if len(names) > 0 && !slices.Contains(names, trouble.name) {
			continue
		}
		fmt.Fprintf(table, "| %s |", trouble.name)
		for i, helper := range helpers {
			var took []time.Duration
			for range rounds {
				one, err := compareOnce(ctx, programs, trouble, i, keep)
				if err != nil {
					return fmt.Errorf("%s with %s: %w", trouble.name, helper.name, err)
				}
				fmt.Fprintf(os.Stderr, "%s, %s: %s\n", trouble.name, helper.name, healthyAfter(one))
				took = append(took, one)
			}
			slices.Sort(took)
			fmt.Fprintf(table, " %s |", medianAndMost(took))
		}
		fmt.Fprintln(table)
	}
	fmt.Print(table)
	return nil
}

// medianAndMost are the middle one and the longest of some sorted times, once where they are the same.
func medianAndMost(took []time.Duration) string {
	median, most := healthyAfter(took[(len(took)-1)/2]), healthyAfter(took[len(took)-1])
	if median == most {
		return median
	}
	return median + ", at most " + most
}

func healthyAfter(took time.Duration) string {
	if took >= healthyPatience {
		return fmt.Sprintf("not within %.0f s", healthyPatience.Seconds())
	}
	return fmt.Sprintf("%.1f s", took.Seconds())
}

// compareOnce makes one trouble in a fresh namespace. The world of one that was not healed can be kept.
func compareOnce(ctx context.Context, programs string, trouble trouble, helper int, keep bool) (took time.Duration, err error) {
	w, err := newWorld(programs, scenario{id: "compare", name: strings.ReplaceAll(trouble.name, " ", "-"), files: "kube/compare/jenner"})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.end(keep && helpers[helper].jenner && took >= healthyPatience)) }()
	w.Values["liveness"] = helpers[helper].liveness
	if err := w.inCluster(ctx, "deployment/shop"); err != nil {
		return 0, err
	}
	if err := w.answers(ctx, "http://"+w.Values["shop.ip"]+"/readyz"); err != nil {
		return 0, err
	}
	if helpers[helper].jenner {
		if err := errors.Join(w.verified(ctx), w.watched(ctx)); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	if err := trouble.make(ctx, w); err != nil {
		return 0, err
	}
	return w.healthy(ctx, began)
}

// watched starts visitors and jenner serve, and waits until Jenner watches.
func (w *world) watched(ctx context.Context) error {
	address, err := w.Address("visitors")
	if err != nil {
		return err
	}
	if err := w.app("visitors", "--url", "http://"+w.Values["shop.ip"]+"/", "--listen", address); err != nil {
		return err
	}
	desired := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {config.yaml: \"value: welcome\\n\"}\n"
	if err := errors.Join(os.MkdirAll(w.path("desired"), 0o755), writeFile(w.path("desired", "config.yaml"), desired), w.write()); err != nil {
		return err
	}
	listen, err := w.Address("jenner")
	if err != nil {
		return err
	}
	process, err := lab.Start(lab.Options{Dir: w.Dir, Path: w.path("run", "serve.log")}, filepath.Join(w.programs, "jenner"), "serve",
		w.path("jenner"), "--data", w.path("data"), "--listen", listen, "--baseline", "3s")
	if err != nil {
		return err
	}
	w.ends(func() error { return process.Stop(syscall.SIGTERM, 30*time.Second) })
	return w.answers(ctx, "http://"+listen+"/healthz")
}

// post asks the service for something that may well end it before it answers.
func (w *world) post(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.Values["shop.ip"]+path, nil)
	if err != nil {
		return err
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
	}
	return nil
}

// healthy waits until the service has answered well, and in time, for a while on end, after it had not, and gives how long
// after began that while began. Where it never fails at all within five seconds, it was healthy throughout.
func (w *world) healthy(ctx context.Context, began time.Time) (time.Duration, error) {
	client := &http.Client{Timeout: healthyIn, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var failed bool
	var since time.Time
	for time.Since(began) < healthyPatience {
		response, err := client.Get("http://" + w.Values["shop.ip"] + "/")
		good := err == nil && response.StatusCode == http.StatusOK
		if err == nil {
			response.Body.Close()
		}
		switch {
		case !good:
			failed, since = true, time.Time{}
		case since.IsZero():
			since = time.Now()
		case failed && time.Since(since) >= healthyFor:
			return since.Sub(began), nil
		case !failed && time.Since(began) > 5*time.Second:
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-tick.C:
		}
	}
	return healthyPatience, nil
}
