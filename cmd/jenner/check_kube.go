package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/config"
)

// check looks at files, at custom resources, and at the rights that they need.
func (k *kubeFlags) check(cmd *cobra.Command, paths []string) error {
	docs, standings, err := k.documents(cmd.Context(), paths)
	var wrong config.Problems
	if errors.As(err, &wrong) {
		tell(cmd, wrong, nil)
		return exitCode(exitNo)
	}
	if err != nil {
		return err
	}
	var problems, warnings config.Problems
	for _, standing := range standings {
		problems, warnings = append(problems, standing.Problems...), append(warnings, standing.Warnings...)
	}
	missing, err := k.missing(cmd, docs)
	if err != nil {
		return err
	}
	if tell(cmd, append(problems, missing...), warnings) {
		return exitCode(exitNo)
	}
	noMistakes(cmd.OutOrStdout(), docs)
	fmt.Fprintln(cmd.OutOrStdout(), "Jenner has every right that they need")
	return nil
}

// missing are the rights that Jenner needs and does not have, as problems.
func (k *kubeFlags) missing(cmd *cobra.Command, docs *jenner.Documents) (config.Problems, error) {
	needs, err := k.needs(docs, true)
	if err != nil {
		return nil, err
	}
	conn, err := cluster.Connect(k.place)
	if err != nil {
		return nil, err
	}
	missing, err := conn.Missing(cmd.Context(), rightsOf(needs), func(kubeconfig, contextName string) (*cluster.Connection, error) {
		return cluster.Connect(cluster.Place{Kubeconfig: kubeconfig, Context: contextName})
	})
	if err != nil {
		return nil, err
	}
	var problems config.Problems
	for _, need := range needs {
		if slices.Contains(missing, need.Right) {
			problems = append(problems, config.Problem{Message: fmt.Sprintf("Jenner may not %s, which is needed for %s; `jenner rbac` prints what to apply",
				need.Right, theFirst(need.For))})
		}
	}
	return problems, nil
}

// theFirst is the first of several things.
func theFirst(things []string) string {
	if len(things) == 1 {
		return things[0]
	}
	return fmt.Sprintf("%s and %d more", things[0], len(things)-1)
}
