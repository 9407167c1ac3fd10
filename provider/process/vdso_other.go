//go:build !amd64

package process

import "errors"

// What follows is never reached: Checkpoint refuses the fault on these machines.

var (
	clockCode    []byte
	clockEntries map[string]uint64
	clocksOf     = map[string]uint64{"wall": 1, "monotonic": 2}
)

type clockData struct {
	Mask    uint64
	Rate    int64
	Shift   int64
	Counter uint64
	Bases   [12]int64
	Tag     uint64
}

const jumpSize = 5

func clockPatch(clockData) ([]byte, error) { return nil, errors.ErrUnsupported }

func rateOf(float64) int64 { return 0 }

func jump(from, to uint64) []byte { return make([]byte, jumpSize) }

func clockBases() (bases [12]int64) { return bases }
