package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "schema KIND",
		Short:     "Print the JSON Schema of a kind of document",
		Long:      "Prints the JSON Schema (draft 2020-12) of a kind of document, for editors and checkers.\n\nKinds: " + strings.Join(config.Kinds(), ", "),
		Example:   "  jenner schema runbook > runbook.schema.json",
		Args:      exactly("KIND"),
		ValidArgs: config.Kinds(),
		RunE: func(cmd *cobra.Command, args []string) error {
			names := catalog.Names{Catalog: providers}
			schema, err := config.Schema(args[0], config.ParamTypes{Targets: names.TargetParams(), Probes: names.ProbeParams(),
				Sources: names.SourceParams(), Notifiers: names.NotifierParams()})
			if err != nil {
				return usage("%v", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", schema)
			return err
		},
	}
}
