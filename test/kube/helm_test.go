//go:build kube

package kube

import (
	"flag"
	"fmt"
	"os"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
)

// helm does what `helm install` and `helm upgrade` do, by the library that helm itself is made of, so that the commands of
// the guide can be run where nobody has installed it. It knows the flags that the guide uses.
func helm(args []string) int {
	if err := helmRun(args); err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		return 1
	}
	return 0
}

func helmRun(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("%q: the guide's helm knows `install NAME CHART` and `upgrade NAME CHART`", args)
	}
	verb, name, path := args[0], args[1], args[2]
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	given := &values.Options{}
	namespace := flags.String("namespace", "default", "")
	create, reuse := flags.Bool("create-namespace", false, ""), flags.Bool("reuse-values", false, "")
	flags.Func("set", "", func(text string) error { given.Values = append(given.Values, text); return nil })
	flags.Func("values", "", func(text string) error { given.ValueFiles = append(given.ValueFiles, text); return nil })
	if err := flags.Parse(args[3:]); err != nil {
		return err
	}
	settings := cli.New()
	settings.SetNamespace(*namespace)
	config := &action.Configuration{}
	if err := config.Init(settings.RESTClientGetter(), *namespace, "secret", func(string, ...any) {}); err != nil {
		return err
	}
	merged, err := given.MergeValues(getter.All(settings))
	if err != nil {
		return err
	}
	chart, err := loader.Load(path)
	if err != nil {
		return err
	}
	switch verb {
	case "install":
		install := action.NewInstall(config)
		install.ReleaseName, install.Namespace, install.CreateNamespace = name, *namespace, *create
		release, err := install.Run(chart, merged)
		if err == nil {
			fmt.Println(release.Info.Notes)
		}
		return err
	case "upgrade":
		upgrade := action.NewUpgrade(config)
		upgrade.Namespace, upgrade.ReuseValues = *namespace, *reuse
		_, err := upgrade.Run(name, chart, merged)
		return err
	}
	return fmt.Errorf("the guide's helm has no command %q", verb)
}
