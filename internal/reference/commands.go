package reference

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands describes the command tree in the order in which the help shows it.
func commands(root *cobra.Command) string {
	var out strings.Builder
	out.WriteString("# Commands\n\n")
	var describe func(cmd *cobra.Command)
	describe = func(cmd *cobra.Command) {
		oneCommand(&out, cmd)
		for _, below := range cmd.Commands() {
			if !below.Hidden && below.Name() != "help" && below.Name() != "completion" {
				describe(below)
			}
		}
	}
	describe(root)
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func oneCommand(out *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(out, "## %s\n\n%s\n\n", cmd.CommandPath(), sentence(cmd.Short))
	if cmd.Runnable() {
		fmt.Fprintf(out, "    %s\n\n", cmd.UseLine())
	}
	if cmd.Long != "" {
		fmt.Fprintf(out, "%s\n\n", cmd.Long)
	}
	if cmd.Example != "" {
		fmt.Fprintf(out, "For example:\n\n    %s\n\n", strings.TrimSpace(cmd.Example))
	}
	rows := 0
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden || flag.Name == "help" || flag.Name == "version" {
			return
		}
		if rows == 0 {
			out.WriteString("| flag | default | what it is |\n|---|---|---|\n")
		}
		rows++
		fmt.Fprintf(out, "| `--%s` | %s | %s |\n", flag.Name, flagDefault(flag), cell(flag.Usage))
	})
	if rows > 0 {
		out.WriteString("\n")
	}
}

// flagDefault leaves out defaults that say nothing.
func flagDefault(flag *pflag.Flag) string {
	switch flag.DefValue {
	case "", "[]", "false", "0", "0s":
		return ""
	}
	return "`" + strings.Trim(flag.DefValue, "[]") + "`"
}
