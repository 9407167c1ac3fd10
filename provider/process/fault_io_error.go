package process

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Fault("io_error", "Let calls of the live process on some files fail", func() chaos.Fault {
		return &FaultIOError{interposed: newInterposed(), Errno: "EIO"}
	}, "process")
}

// FaultIOError lets reads, writes and other calls of the process on some files fail, as a broken or full disk does. The
// calls are not made: what fails was not written. It needs to be root, or CAP_SYS_PTRACE.
type FaultIOError struct {
	interposed
	// Errno is the name of the error that the calls fail with: EIO, ENOSPC, EROFS, EDQUOT, EACCES, EMFILE …
	Errno string `json:"errno,omitempty"`
}

// Validate checks the parameters.
func (f *FaultIOError) Validate() error {
	_, err := errnoNamed(f.Errno)
	return errors.Join(err, f.interposed.Validate())
}

// Hold lets the calls fail until ctx ends or the process is gone.
func (f *FaultIOError) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	errno, err := errnoNamed(f.Errno)
	if err != nil {
		return err
	}
	return f.hold(ctx, call, tell, ruling{fail: errno})
}

// Bite tells how many calls have failed.
func (f *FaultIOError) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return f.bite(call, "failed with "+f.Errno)
}

// errnoNamed finds an error of the kernel by its name.
func errnoNamed(name string) (unix.Errno, error) {
	var known []string
	for errno := unix.Errno(1); errno < 134; errno++ { // EHWPOISON, 133, is the last one
		one := unix.ErrnoName(errno)
		if one == name && name != "" {
			return errno, nil
		}
		known = append(known, one)
	}
	return 0, fmt.Errorf("unknown errno %q%s; write its name in capitals, such as EIO", name, strict.Hint(name, known))
}
