package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage the heap may hold before it is collected, beside what is in use. A small heap may hold twice as much again,
// for half as many collections then cost a few megabytes; where thousands of pods are watched the same share would cost
// hundreds.
const (
	mostGarbage   = 24 << 20 // bytes
	mostPercent   = 200      // of what is in use
	leastPercent  = 25       // less would keep a core busy
	weighingEvery = 250 * time.Millisecond
)

// collectAt is the percentage for debug.SetGCPercent where so many bytes are in use.
func collectAt(inUse uint64) int {
	if inUse == 0 {
		return mostPercent
	}
	return int(min(mostPercent, max(leastPercent, 100*mostGarbage/inUse)))
}

// keepLean lets the collector run as often as the size of the heap asks for, until ctx ends.
func keepLean(ctx context.Context) {
	ticker := time.NewTicker(weighingEvery)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for now := 0; ; {
		metrics.Read(live)
		if percent := collectAt(live[0].Value.Uint64()); percent != now {
			debug.SetGCPercent(percent)
			now = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
