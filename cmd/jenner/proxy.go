package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/provider/http"
)

func proxyCommand() *cobra.Command {
	var opts http.ProxyOptions
	var pidfile string
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Stand between a caller and a callee, so that HTTP faults can be injected there",
		Long: `Passes HTTP through from --listen to --upstream. A drill can put faults (latency, error) into it through --control;
each ends by itself when its lease does. Without a fault it only passes through.`,
		Example: "  jenner proxy --listen 127.0.0.1:18095 --upstream http://127.0.0.1:18085 --control 127.0.0.1:18096",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if pidfile != "" {
				if err := os.WriteFile(pidfile, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
					return fmt.Errorf("cannot write the pidfile: %w", err)
				}
				defer os.Remove(pidfile)
			}
			return http.RunProxy(cmd.Context(), opts)
		},
	}
	cmd.Flags().StringVar(&opts.Listen, "listen", "", "address to listen on")
	cmd.Flags().StringVar(&opts.Upstream, "upstream", "", "URL to pass through to")
	cmd.Flags().StringVar(&opts.Control, "control", "", "address of the control endpoint; loopback only")
	cmd.Flags().StringVar(&pidfile, "pidfile", "", "file to write the process id to")
	for _, name := range []string{"listen", "upstream", "control"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}
