package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestASlowUndoSaysThatItGoesOn: every two seconds, and not before.
func TestASlowUndoSaysThatItGoesOn(t *testing.T) {
	for took, lines := range map[time.Duration]int{time.Second: 0, 5 * time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() {
				time.Sleep(took)
				ended <- errors.New("it is stuck")
			}()
			var out bytes.Buffer
			if err := untilEnded(ended, "1 of 1: taking back x", &out); err == nil || err.Error() != "it is stuck" {
				t.Errorf("the undo ends with %v", err)
			}
			if got := strings.Count(out.String(), "taking back x, for "); got != lines {
				t.Errorf("after %s it said %d times that it goes on:\n%s", took, got, out.String())
			}
		})
	}
}
