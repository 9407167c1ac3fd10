package await

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// heard is a test that hears how it ends.
type heard struct {
	testing.TB
	said string
}

func (h *heard) Helper() {}

func (h *heard) Fatalf(format string, args ...any) {
	h.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// tried runs a wait as a test of its own, and gives what that said at its end and how long it took.
func tried(wait func(tb testing.TB)) (said string, took time.Duration) {
	h, began, done := &heard{}, time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		wait(h)
	}()
	<-done
	return h.said, time.Since(began)
}

func TestWhatNeverComes(t *testing.T) {
	for name, wait := range map[string]func(tb testing.TB){
		"True":   func(tb testing.TB) { True(tb, "rain", func() bool { return false }) },
		"OK":     func(tb testing.TB) { OK(tb, "rain", func() error { return errors.New("no cloud") }) },
		"Closed": func(tb testing.TB) { Closed(tb, "rain", make(chan int)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			said, took := tried(wait)
			if !strings.HasPrefix(said, "waited 4m0s, and still not: rain") || (name == "OK") != strings.HasSuffix(said, ": no cloud") {
				t.Errorf("%s says %q", name, said)
			}
			if took < Patience || took > Patience+time.Second {
				t.Errorf("%s gave up after %s", name, took)
			}
		})
	}
}

func TestWhatComes(t *testing.T) {
	for _, after := range []time.Duration{0, Pause, time.Second, Patience - time.Second} {
		for name, wait := range map[string]func(tb testing.TB, there func() bool){
			"True": func(tb testing.TB, there func() bool) { True(tb, "rain", there) },
			"OK": func(tb testing.TB, there func() bool) {
				OK(tb, "rain", func() error {
					if there() {
						return nil
					}
					return errors.New("no cloud")
				})
			},
			"Closed": func(tb testing.TB, _ func() bool) {
				done := make(chan struct{})
				time.AfterFunc(after, func() { close(done) })
				Closed(tb, "rain", done)
			},
		} {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				said, took := tried(func(tb testing.TB) { wait(tb, func() bool { return time.Since(began) >= after }) })
				if said != "" || took < after || took > after+Pause {
					t.Errorf("%s of what comes after %s: it took %s, and said %q", name, after, took, said)
				}
			})
		}
	}
}
