package telemetry

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// ResultOf is the answer of a probe whose question ended with err: OK where it is nil. ctx is the one the probe was
// asked with. An error that lies on our own side (no file descriptors, no memory, no free local port, or the program is
// stopping) gives Unknown, because it says nothing about the service; every other one gives Failed.
func ResultOf(ctx context.Context, err error) Result {
	switch {
	case err == nil:
		return Result{Outcome: OK}
	case errors.Is(ctx.Err(), context.Canceled):
		return Result{Outcome: Unknown, Message: "the question was taken back"}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Result{Outcome: Failed, Message: fmt.Sprintf("no answer in time: %v", err)}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Result{Outcome: Unknown, Message: fmt.Sprintf("could not ask: %v", err)}
	default:
		return Result{Outcome: Failed, Message: err.Error()}
	}
}
