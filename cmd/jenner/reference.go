package main

import (
	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/internal/reference"
)

// referenceCommand writes the reference pages. It is hidden, for it needs the source and is of use to developers only.
func referenceCommand() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:    "reference DIR",
		Short:  "Write the reference pages from the code into a folder",
		Hidden: true,
		Args:   exactly("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			return reference.Write(args[0], referenceInput(source))
		},
	}
	cmd.Flags().StringVar(&source, "source", ".", "the folder of Jenner's source")
	return cmd
}

// referenceInput is the same on every machine: the folder of state is written as it is by default, not as it is here.
func referenceInput(source string) reference.Input {
	root := rootCommand()
	root.PersistentFlags().Lookup("data").DefValue = "~/.local/state/jenner"
	return reference.Input{Source: source, Catalog: providers, Commands: root}
}
