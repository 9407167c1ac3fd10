// Command kubelab runs a real Kubernetes on this host for tests: a control plane and nodes, each a machine in namespaces
// of its own, that start within seconds, break like real ones, and leave nothing behind.
//
// It is for the command line; the packages below do the work. It is not for clusters that are to last.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == machine.Argument {
		machine.Init()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	var code exitCode
	switch {
	case err == nil:
	case errors.As(err, &code):
		os.Exit(int(code))
	default:
		fmt.Fprintf(os.Stderr, "kubelab: %v\n", err)
		os.Exit(1)
	}
}

// exitCode is how a command that kubelab ran has ended; there is nothing to add to what it said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
