package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/detect"
)

func whoseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whose DIR... LABEL=VALUE...",
		Short: "Say to which service an alert with these labels belongs, and why",
		Long: `Reads the files in DIR and says whose an alert of another system with these labels would be: by the label jenner_service,
by the rules of the documents of kind mapping, or by the label service. Those that fit and do not hold are told as well.

Exit code 0 where it belongs to a service, 1 where it is nobody's. What alerts a running Jenner could give to nobody shows
GET /api/alerts of its port.`,
		Example: "  jenner whose examples/alerts alertname=KubePodCrashLooping namespace=shop deployment=checkout",
		Args:    atLeastOne("folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var folders []string
			labels := map[string]string{}
			for _, arg := range args {
				if name, value, is := strings.Cut(arg, "="); is {
					labels[name] = value
				} else {
					folders = append(folders, arg)
				}
			}
			if len(folders) == 0 || len(labels) == 0 {
				return usage("name a folder and at least one label, such as alertname=Down")
			}
			docs, err := app.Read(folders, providers, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			mapper, err := detect.NewMapper(docs)
			if err != nil {
				return err
			}
			return tellWhose(cmd, mapper.Explain(labels))
		},
	}
}

func tellWhose(cmd *cobra.Command, found detect.Mapped) error {
	out := cmd.OutOrStdout()
	if found.Saw != "" {
		fmt.Fprintln(out, "passed over:", found.Saw)
	}
	switch {
	case found.Nobody == detect.NobodyIgnored:
		fmt.Fprintf(out, "nobody's: %s ignores it\n", found.By)
		return exitCode(exitNo)
	case found.Nobody != "":
		fmt.Fprintln(out, "nobody's: no rule holds, and neither jenner_service nor service names a service")
		return exitCode(exitNo)
	case found.Target.Name == "":
		fmt.Fprintf(out, "%s, by %s\n", found.Service, found.By)
	default:
		fmt.Fprintf(out, "%s (%s), by %s\n", found.Service, found.Target, found.By)
	}
	return nil
}
