package main

import "testing"

func TestTheHeapMayHoldLessGarbageTheLargerItIs(t *testing.T) {
	for inUse, want := range map[uint64]int{0: 200, 10 << 20: 200, 12 << 20: 200, 24 << 20: 100, 48 << 20: 50, 96 << 20: 25, 1 << 30: 25} {
		if got := collectAt(inUse); got != want {
			t.Errorf("with %d MB in use it is collected at %d %%, want %d %%", inUse>>20, got, want)
		}
	}
}
