package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func checkCommand() *cobra.Command {
	var kube kubeFlags
	cmd := &cobra.Command{
		Use:   "check DIR...",
		Short: "Find every mistake in the files before it matters",
		Long: `Reads all files and finds every mistake: unknown names, wrong units, bad PromQL or CEL, targets that do not exist,
policies whose cause nothing gives, runbooks that nobody uses. Each is one line, FILE:LINE: MESSAGE.

With --kube the custom resources of a cluster are looked at, too, and the API server is asked whether Jenner has every right that
the documents need. Where you are not Jenner, say with --as who Jenner is there.

Exit code 0 where there is no mistake (warnings do not count), 1 where there is one.`,
		Example: "  jenner check examples/shop/jenner\n  jenner check --kube --namespace jenner --as system:serviceaccount:jenner:jenner",
		Args: func(cmd *cobra.Command, args []string) error {
			if kube.on {
				return nil
			}
			return atLeastOne("folder")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if kube.on {
				return kube.check(cmd, args)
			}
			loaded, problems, warnings := config.CheckFiles(catalog.Names{Catalog: providers}, args...)
			if tell(cmd, problems, warnings) {
				return exitCode(exitNo)
			}
			noMistakes(cmd.OutOrStdout(), loaded.Documents)
			return nil
		},
	}
	kube.connection(cmd)
	cmd.Flags().BoolVar(&kube.on, "kube", false, "look at the custom resources of a cluster, too, and at Jenner's rights there")
	cmd.Flags().StringVar(&kube.lease, "lease", "jenner", "the Lease whose holder acts, with --kube")
	cmd.Flags().StringVar(&kube.place.As, "as", "", "who Jenner is in the cluster: system:serviceaccount:NAMESPACE:NAME")
	return cmd
}

// tell prints what was found, and tells whether something of it is a mistake.
func tell(cmd *cobra.Command, problems, warnings config.Problems) bool {
	for _, warning := range warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s (warning)\n", warning)
	}
	for _, problem := range problems {
		fmt.Fprintln(cmd.OutOrStdout(), problem)
	}
	return len(problems) > 0
}

func noMistakes(out io.Writer, docs *jenner.Documents) {
	fmt.Fprintf(out, "no mistakes in %d services, %d signatures, %d runbooks, %d policies, %d experiments\n",
		len(docs.Services), len(docs.Signatures), len(docs.Runbooks), len(docs.Policies), len(docs.Experiments))
}
