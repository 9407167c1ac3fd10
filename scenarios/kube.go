package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// kubeNeeds are what the scenarios in a cluster need beside the cluster that KUBECONFIG names.
var kubeNeeds = []need{{program: "kubectl", debian: "kubernetes-client", folders: []string{os.Getenv("KUBELAB_BIN")}}}

// clusterPatience is how long something in a cluster may take to become well.
const clusterPatience = 90 * time.Second

// inCluster makes a namespace of the scenario's own and applies what stands in the folder cluster beside its documents. It
// waits until each of the workloads is there, and lets the documents know the addresses of the services as NAME.ip.
func (w *world) inCluster(ctx context.Context, workloads ...string) error {
	config := os.Getenv("KUBECONFIG")
	if config == "" {
		return errors.New("KUBECONFIG names no cluster; `make kubelab` starts one")
	}
	w.Values["kubeconfig"], w.Values["namespace"] = config, filepath.Base(w.Dir) // which no other world has
	if _, err := w.kubectl(ctx, "", "create", "namespace", w.Values["namespace"]); err != nil {
		return err
	}
	w.ends(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
		defer cancel()
		_, err := w.kubectl(ctx, "", "delete", "namespace", w.Values["namespace"], "--ignore-not-found", "--grace-period=1")
		return err
	})
	manifests, err := w.filled(path.Join(path.Dir(w.files), "cluster"))
	if err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, manifests, "apply", "-f", "-"); err != nil {
		return err
	}
	for _, workload := range workloads {
		if _, err := w.kubectl(ctx, "", "rollout", "status", workload, "--timeout", clusterPatience.String()); err != nil {
			return err
		}
	}
	return w.serviceAddresses(ctx)
}

// filled is every document of a folder, filled in.
func (w *world) filled(folder string) (string, error) {
	all := &strings.Builder{}
	err := fs.WalkDir(documents, folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		all.WriteString("---\n")
		return w.fill(path, all)
	})
	return all.String(), err
}

func (w *world) serviceAddresses(ctx context.Context) error {
	out, err := w.kubectl(ctx, "", "get", "services", "-o", `jsonpath={range .items[*]}{.metadata.name}={.spec.clusterIP} {end}`)
	for _, pair := range strings.Fields(out) {
		name, address, _ := strings.Cut(pair, "=")
		w.Values[name+".ip"] = address
	}
	return err
}

// kubectl runs kubectl in the scenario's namespace, with input where there is one, and gives what it printed.
func (w *world) kubectl(ctx context.Context, input string, args ...string) (string, error) {
	program := "kubectl"
	if folder := os.Getenv("KUBELAB_BIN"); folder != "" {
		program = path.Join(folder, "kubectl")
	}
	cmd := exec.CommandContext(ctx, program, append(args, "--namespace", w.Values["namespace"])...)
	cmd.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}
