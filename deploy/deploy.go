// Package deploy holds what installs Jenner in a Kubernetes cluster: a Helm chart, and plain manifests that are the chart
// rendered, so that both always say the same.
//
// It is for rendering them. It is not for applying them: kubectl and Helm do.
package deploy

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

//go:embed all:chart/jenner
var files embed.FS

const chartDir = "chart/jenner"

// Chart is the Helm chart.
func Chart() (*chart.Chart, error) {
	var buffered []*loader.BufferedFile
	err := fs.WalkDir(files, chartDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		buffered = append(buffered, &loader.BufferedFile{Name: strings.TrimPrefix(path, chartDir+"/"), Data: raw})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the chart cannot be read: %w", err)
	}
	made, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, fmt.Errorf("the chart cannot be read: %w", err)
	}
	return made, nil
}

// Release says what is rendered.
type Release struct {
	Name, Namespace string
	Values          map[string]any // over those of the chart
	APIVersions     []string       // that the cluster knows beside those of Kubernetes itself: monitoring.coreos.com/v1
}

// Manifests are the objects of the chart for a release, one YAML document each, in the order in which they are to be applied.
// The custom resource definitions are not among them.
func Manifests(release Release) (string, error) {
	made, err := Chart()
	if err != nil {
		return "", err
	}
	capabilities := *chartutil.DefaultCapabilities
	capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), release.APIVersions...)
	values, err := chartutil.ToRenderValues(made, release.Values, chartutil.ReleaseOptions{Name: release.Name, Namespace: release.Namespace,
		IsInstall: true, Revision: 1}, &capabilities)
	if err != nil {
		return "", fmt.Errorf("the values do not fit the chart: %w", err)
	}
	rendered, err := engine.Render(made, values)
	if err != nil {
		return "", fmt.Errorf("the chart cannot be rendered: %w", err)
	}
	maps.DeleteFunc(rendered, func(name, _ string) bool { return strings.HasSuffix(name, ".txt") })
	_, sorted, err := releaseutil.SortManifests(rendered, capabilities.APIVersions, releaseutil.InstallOrder)
	if err != nil {
		return "", fmt.Errorf("the chart cannot be rendered: %w", err)
	}
	slices.SortStableFunc(sorted, func(a, b releaseutil.Manifest) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Name, b.Name))
	})
	var all strings.Builder
	for i, manifest := range sorted {
		if i > 0 {
			all.WriteString("---\n")
		}
		all.WriteString(strings.TrimSpace(manifest.Content) + "\n")
	}
	return all.String(), nil
}

func place(manifest releaseutil.Manifest) int {
	return slices.Index(releaseutil.InstallOrder, manifest.Head.Kind)
}
