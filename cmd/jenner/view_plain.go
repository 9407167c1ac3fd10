package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// plainView prints a line for everything, with the seconds since the start.
type plainView struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
	last  string
}

func (v *plainView) line(at time.Time, who, kind, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.out, "%6.2f  %-10s %-10s %s\n", at.Sub(v.start).Seconds(), who, kind, text)
}

func (v *plainView) stage(text string) { v.line(time.Now(), "demo", "", text) }

func (v *plainView) drill(drill jenner.Drill, phase jenner.Phase) {
	head := drill.Experiment.Name
	v.mu.Lock()
	fresh := head != v.last
	v.last = head
	v.mu.Unlock()
	if fresh {
		v.line(time.Now(), "drill", head, drill.Experiment.Hypothesis)
	}
}

func (v *plainView) entry(change jenner.Change) {
	for _, entry := range change.Timeline {
		if entry.Kind != "phase" && entry.Kind != "drill" {
			v.line(entry.At, change.Record.Subject, entry.Kind, short(entry.Text))
		}
	}
}

func (v *plainView) close() {}

// longest is how much of a text one line shows; all of it is in the incident.
const longest = 160

func short(text string) string {
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return text
}
