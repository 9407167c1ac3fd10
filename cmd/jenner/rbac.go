package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func rbacCommand() *cobra.Command {
	var kube kubeFlags
	var own, explain bool
	var account, format string
	cmd := &cobra.Command{
		Use:   "rbac [DIR...]",
		Short: "Print the smallest Kubernetes roles that the documents need",
		Long: `Reads the files in DIR, and with --kube the custom resources of a cluster, and prints the smallest Roles and ClusterRole, with
their bindings, that observing the services, the runbooks and the experiments need. A runbook that no policy lets do anything
without a person who does it needs to read only.

As values of the Helm chart (--format values) the same becomes part of an installation.`,
		Example: "  jenner rbac /etc/jenner --namespace jenner | kubectl apply -f -\n  jenner rbac --kube --format values > rights.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !kube.on && len(args) == 0 {
				return usage("jenner rbac wants a folder, or --kube for the custom resources of a cluster")
			}
			docs, _, err := kube.documents(cmd.Context(), args)
			if err != nil {
				return err
			}
			if kube.place.Namespace == "" {
				kube.place.Namespace = "jenner"
			}
			needs, err := kube.needs(docs, own)
			if err != nil {
				return err
			}
			for _, need := range needs {
				if need.Kubeconfig+need.Context != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "at another cluster (context %q of %q): %s\n", need.Context, need.Kubeconfig, need.Right)
				}
				if explain {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", need.Right, strings.Join(need.For, "; "))
				}
			}
			grants := cluster.Grants(rightsOf(needs), kube.place.Namespace)
			return writeRoles(cmd.OutOrStdout(), grants, format, account, kube.place.Namespace)
		},
	}
	kube.connection(cmd)
	cmd.Flags().BoolVar(&kube.on, "kube", false, "count the custom resources of a cluster, too")
	cmd.Flags().StringVar(&kube.lease, "lease", "jenner", "the Lease whose holder acts, for --own")
	cmd.Flags().BoolVar(&own, "own", false, "count what Jenner needs for itself, too; the manifests and the chart have it already")
	cmd.Flags().BoolVar(&explain, "explain", false, "say to stderr what each right is needed for")
	cmd.Flags().StringVar(&account, "service-account", "jenner", "the service account that is given the rights")
	cmd.Flags().StringVar(&format, "format", "manifests", "manifests, or values for the Helm chart")
	return cmd
}

func writeRoles(out io.Writer, grants []cluster.Grant, format, account, namespace string) error {
	switch format {
	case "manifests":
		raw, err := cluster.YAML(cluster.Roles(grants, "jenner-documents", account, namespace)...)
		if err != nil {
			return err
		}
		_, err = out.Write(raw)
		return err
	case "values":
		raw, err := yaml.Marshal(map[string]any{"rbac": map[string]any{"grants": grants}})
		if err != nil {
			return err
		}
		_, err = out.Write(raw)
		return err
	}
	return usage("unknown format %q; write manifests or values", format)
}

// documents reads files and, with --kube, custom resources. What is wrong with an object is told in its standing; a mistake in a
// file is an error.
func (k *kubeFlags) documents(ctx context.Context, paths []string) (*jenner.Documents, []config.Standing, error) {
	var objects []config.Object
	if k.on {
		conn, err := cluster.Connect(k.place)
		if err != nil {
			return nil, nil, err
		}
		k.place.Namespace = conn.Namespace
		if objects, err = conn.Documents(ctx, k.watching(slog.New(slog.DiscardHandler))); err != nil {
			return nil, nil, err
		}
	}
	if len(k.discover) > 0 {
		found := k.discovered(slog.New(slog.NewTextHandler(os.Stderr, nil)))
		found.Look(ctx)
		objects = append(objects, found.Objects()...)
	}
	loaded, standings, err := config.LoadObjects(catalog.Names{Catalog: providers}, objects, paths...)
	if err != nil {
		return nil, nil, err
	}
	return loaded.Documents, standings, nil
}

// needs are what the documents need of API servers, and with own what Jenner needs for itself.
func (k *kubeFlags) needs(docs *jenner.Documents, own bool) ([]catalog.Need, error) {
	needs, err := providers.Rights(docs)
	if err != nil {
		return nil, err
	}
	self := cluster.Own{Namespace: k.place.Namespace, Watched: k.watch, Discovered: k.discover, Lease: k.lease}
	for _, service := range docs.Services {
		for _, target := range service.Targets {
			needs = withNeeds(needs, self.EventRights(target), fmt.Sprintf("events about %s of %s", target.Ref(), service.Name))
		}
	}
	if own {
		needs = withNeeds(needs, self.Rights(), "Jenner itself")
	}
	slices.SortStableFunc(needs, func(a, b catalog.Need) int { return a.Compare(b.Right) })
	return needs, nil
}

// withNeeds adds rights to needs; one that is among them is needed for one thing more.
func withNeeds(needs []catalog.Need, rights []jenner.Right, what string) []catalog.Need {
	for _, right := range rights {
		at := slices.IndexFunc(needs, func(n catalog.Need) bool { return n.Right == right })
		if at < 0 {
			needs = append(needs, catalog.Need{Right: right, For: []string{what}})
			continue
		}
		needs[at].For = append(needs[at].For, what)
	}
	return needs
}

func rightsOf(needs []catalog.Need) []jenner.Right {
	rights := make([]jenner.Right, 0, len(needs))
	for _, need := range needs {
		rights = append(rights, need.Right)
	}
	return rights
}
