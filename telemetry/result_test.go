package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestResultOf(t *testing.T) {
	live := context.Background()
	taken, cancel := context.WithCancel(live)
	cancel()
	late, cancelLate := context.WithDeadline(live, time.Now().Add(-time.Second))
	defer cancelLate()
	local := func(errno syscall.Errno) error {
		return fmt.Errorf("asking: %w", &net.OpError{Op: "dial", Err: errno})
	}
	for _, tc := range []struct {
		name string
		ctx  context.Context
		err  error
		want Outcome
	}{
		{"no error", live, nil, OK},
		{"refused", live, local(syscall.ECONNREFUSED), Failed},
		{"reset", live, local(syscall.ECONNRESET), Failed},
		{"wrong answer", live, errors.New("status 500"), Failed},
		{"too late", late, context.DeadlineExceeded, Failed},
		{"taken back", taken, context.Canceled, Unknown},
		{"no file descriptors here", live, local(syscall.EMFILE), Unknown},
		{"no ports here", live, local(syscall.EADDRNOTAVAIL), Unknown},
	} {
		got := ResultOf(tc.ctx, tc.err)
		if got.Outcome != tc.want || (got.Message == "") != (tc.err == nil) {
			t.Errorf("%s: %+v, want %s", tc.name, got, tc.want)
		}
	}
}
