package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/deploy"
)

func manifestsCommand() *cobra.Command {
	var release deploy.Release
	var valueFiles, set []string
	cmd := &cobra.Command{
		Use:   "manifests",
		Short: "Print what installs Jenner in a Kubernetes cluster",
		Long: `Prints plain manifests of everything that installs Jenner in a Kubernetes cluster but the namespace, the custom resource
definitions (jenner manifests crds) and the rights that the documents need (jenner rbac). They are the Helm chart rendered, and
the chart's values change them.`,
		Example: `  kubectl create namespace jenner
  jenner manifests crds | kubectl apply --server-side -f -
  jenner manifests --set image.tag=0.1.0 | kubectl apply -f -`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			values, err := valuesOf(valueFiles, set)
			if err != nil {
				return err
			}
			release.Values = values
			text, err := deploy.Manifests(release)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&release.Namespace, "namespace", "jenner", "the namespace that Jenner is to live in")
	flags.StringVar(&release.Name, "name", "jenner", "what the objects are called")
	flags.StringArrayVarP(&valueFiles, "values", "f", nil, "a file with values of the chart")
	flags.StringArrayVar(&set, "set", nil, "a value of the chart, KEY=VALUE")
	flags.StringSliceVar(&release.APIVersions, "api-versions", nil, "APIs that the cluster knows, such as monitoring.coreos.com/v1 for a PodMonitor")
	cmd.AddCommand(crdsCommand())
	return cmd
}

// valuesOf are the values of files, each over the one before, and single ones over them.
func valuesOf(files, set []string) (map[string]any, error) {
	values := map[string]any{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("the values cannot be read: %w", err)
		}
		var more map[string]any
		if err := yaml.UnmarshalStrict(raw, &more); err != nil {
			return nil, fmt.Errorf("the values in %s cannot be read: %w", file, err)
		}
		merge(values, more)
	}
	for _, one := range set {
		if err := strvals.ParseInto(one, values); err != nil {
			return nil, usage("the value %q cannot be read: %v", one, err)
		}
	}
	return values, nil
}

// merge puts more over into, key by key.
func merge(into, more map[string]any) {
	for key, value := range more {
		below, both := into[key].(map[string]any)
		if deeper, ok := value.(map[string]any); ok && both {
			merge(below, deeper)
			continue
		}
		into[key] = value
	}
}

func crdsCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "crds",
		Short: "Print the definitions of Jenner's custom resources",
		Long: `Prints the definitions of the custom resources services, signatures, runbooks, policies, experiments and incidents of the group
jenner.dev. The fields are those of the files.`,
		Example: "  jenner manifests crds | kubectl apply --server-side -f -",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := cluster.CRDs()
			if err != nil {
				return err
			}
			if dir == "" {
				raw, err := cluster.YAML(all...)
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(raw)
				return err
			}
			for _, one := range all {
				raw, err := cluster.YAML(one)
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, one.Spec.Names.Plural+".yaml"), raw, 0o644); err != nil {
					return fmt.Errorf("a definition cannot be written: %w", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write a file for each into this folder")
	return cmd
}
