package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/store/sqlite"
)

func auditCommand(set *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check the audit log",
		Long: `Every fact that matters (incidents, decisions, intents, results, faults, the kill switch) is written into a log in which
no entry can be changed, removed or moved without being noticed: a Merkle tree whose head is signed.`,
	}
	var asJSON bool
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check every entry, the tree and the signature; exit code 1 where anything was changed",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := sqlite.Open(set.data, sqlite.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer store.Close()
			report, err := store.VerifyAudit(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the audit log is whole: %d entries, tree %s, signed at %s\n", report.Entries, report.Hash,
				report.Signed.Local().Format(time.DateTime))
			return nil
		},
	}
	verify.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(verify)
	return cmd
}
