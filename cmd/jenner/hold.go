package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/app"
)

// holderFor is the command line of a process that holds a fault, but for the fault's ID: this very program.
func holderFor(data string) []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{self, "hold", "--data", data}
}

func holdCommand(set *settings) *cobra.Command {
	return &cobra.Command{
		Use:    "hold FAULT",
		Short:  "Hold one injected fault until its time is over (started by jenner itself)",
		Hidden: true,
		Args:   exactly("FAULT"),
		RunE: func(_ *cobra.Command, args []string) error {
			// A closed terminal is no reason to end; SIGTERM, the end of the input and of the lease are.
			signal.Ignore(os.Interrupt, syscall.SIGHUP, syscall.SIGPIPE)
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			defer stop()
			return app.Hold(ctx, set.data, providers, args[0], os.Stdin, os.Stdout)
		},
	}
}
