package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/provider/kubernetes"
)

// insideCommand is what faults of provider/kubernetes run in a container that they put into somebody's pod.
func insideCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "inside", Short: "Make a fault inside of a pod (started there by jenner itself)", Hidden: true, Args: exactly()}
	cmd.AddCommand(&cobra.Command{
		Use:   "kill",
		Short: "Kill the first process of this process namespace",
		Args:  exactly(),
		RunE:  func(*cobra.Command, []string) error { return kubernetes.KillMain() },
	}, &cobra.Command{
		Use:   "hold FAULT PARAMS",
		Short: "Hold a fault of the machine as long as somebody writes to standard input, and print what it reports",
		Args:  exactly("FAULT", "PARAMS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return holdInside(cmd.Context(), args[0], args[1], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return cmd
}

// holdInside holds a fault from the first byte that it reads until the last one: where nothing more comes, whoever wanted
// the fault is gone.
func holdInside(ctx context.Context, name, written string, in io.Reader, out io.Writer) error {
	var params jenner.Params
	if err := json.Unmarshal([]byte(written), &params); err != nil {
		return fmt.Errorf("the parameters cannot be read: %w", err)
	}
	record := jenner.FaultRecord{ID: "inside", Params: params, Target: jenner.Target{Kind: "host", Name: "pod"}}
	full, fault, err := providers.MakeFault(name, record.Target.Kind, params)
	if err != nil {
		return err
	}
	holder, ok := fault.(chaos.Holder)
	if !ok {
		return fmt.Errorf("%s is no fault that a process holds", full)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	beats := make(chan struct{})
	go read(in, beats)
	if !next(ctx, beats) {
		return errors.New("nobody wants the fault")
	}
	record.Fault = full
	if keeper, ok := fault.(chaos.Checkpointer); ok {
		if record.Checkpoint, err = keeper.Checkpoint(ctx, chaos.Call{Record: record}); err != nil {
			return err
		}
	}
	go func() {
		defer end()
		for next(ctx, beats) {
		}
	}()
	return holder.Hold(ctx, chaos.Call{Record: record}, func(report any) {
		fmt.Fprintf(out, "%s\n", jenner.Raw(report)) // where nobody reads it any more, the beats end too
	})
}

// read passes each byte on as a beat.
func read(in io.Reader, beats chan<- struct{}) {
	defer close(beats)
	buffer := make([]byte, 1)
	for {
		if _, err := io.ReadFull(in, buffer); err != nil {
			return
		}
		beats <- struct{}{}
	}
}

// next waits for a beat. It gives false where none comes any more.
func next(ctx context.Context, beats <-chan struct{}) bool {
	silence := time.NewTimer(kubernetes.GuestSilence)
	defer silence.Stop()
	select {
	case _, more := <-beats:
		return more
	case <-silence.C:
		return false
	case <-ctx.Done():
		return false
	}
}
