package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR...",
		Short: "Find every mistake in the files before it matters",
		Long: `Reads all files and finds every mistake: unknown names, wrong units, bad PromQL or CEL, targets that do not exist,
policies whose cause nothing gives, runbooks that nobody uses. Each is one line, FILE:LINE: MESSAGE.

Exit code 0 where there is no mistake (warnings do not count), 1 where there is one.`,
		Example: "  jenner check examples/shop/jenner",
		Args:    atLeastOne("folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, problems, warnings := config.CheckFiles(catalog.Names{Catalog: providers}, args...)
			for _, warning := range warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s (warning)\n", warning)
			}
			for _, problem := range problems {
				fmt.Fprintln(cmd.OutOrStdout(), problem)
			}
			if len(problems) > 0 {
				return exitCode(exitNo)
			}
			docs := loaded.Documents
			fmt.Fprintf(cmd.OutOrStdout(), "no mistakes in %d services, %d signatures, %d runbooks, %d policies, %d experiments\n",
				len(docs.Services), len(docs.Signatures), len(docs.Runbooks), len(docs.Policies), len(docs.Experiments))
			return nil
		},
	}
}
