//go:build !amd64

package process

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

var traceUnsupported = fmt.Errorf("programs of linux/%s cannot be broken so yet; only those of linux/amd64 can", runtime.GOARCH)

const (
	auditArch = 0
	none      = -1
)

type argument struct{ descriptor, folder, path int }

// callFamilies holds the words alone, so that parameters are checked alike everywhere.
var callFamilies = map[string]map[uint64][]argument{
	"read": nil, "write": nil, "fsync": nil, "open": nil, "truncate": nil, "rename": nil, "remove": nil, "stat": nil, "mkdir": nil,
}

func position(int) (code, stack uint64, err error) { return 0, 0, errors.ErrUnsupported }

func refuseCall(int, unix.Errno) error { return errors.ErrUnsupported }

func answerCall(int, unix.Errno) error { return errors.ErrUnsupported }
