package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/app"
)

// reaperFor is the command line of the reaper process: this very program.
func reaperFor(data string, more ...string) []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return append([]string{self, "reaper", "--data", data}, more...)
}

func reaperCommand(set *settings) *cobra.Command {
	var world string
	var keep bool
	cmd := &cobra.Command{
		Use:    "reaper",
		Short:  "Undo every fault when the process that injected it dies (started by jenner itself)",
		Hidden: true,
		Args:   exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// It must outlive whatever ends the process it watches; only the end of its input ends it.
			signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
			logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
			err := app.Reap(context.Background(), set.data, providers, os.Stdin, 30*time.Second, logger)
			if world != "" {
				err = endWorld(world, keep, err)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "do not remove it")
	cmd.Flags().StringVar(&world, "end-world", "", "also end the processes of the demo in this folder, and remove it")
	return cmd
}

// endWorld ends the demo's processes and removes its folder, unless something went wrong that the folder explains.
func endWorld(world string, keep bool, undone error) error {
	if err := stopWorld(context.Background(), world); err != nil {
		return fmt.Errorf("cannot end the demo's processes: %w", err)
	}
	if undone != nil || keep {
		return undone
	}
	return os.RemoveAll(world)
}
