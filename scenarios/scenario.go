package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// scenario is one way in which a real system breaks, and what is to heal it.
type scenario struct {
	id    string // S20, of the list of requirements
	name  string // poison
	about string // one sentence
	needs []need
	kube  bool // it runs in the cluster that KUBECONFIG names, and only where --kube is said
	// build starts the world. What it starts it hands to world.ends.
	build      func(ctx context.Context, w *world) error
	files      string // folder of the embedded documents, below which everything is written out
	experiment string // the file of the experiment; experiment.yaml where not said
	// worlds is how many fresh worlds are built, with one drill in each; 1 where not said. It is for what cannot be healed
	// twice in one world, such as a primary that was replaced for good; all else repeats within one world.
	worlds int
	rounds int      // that must come out PROVEN, in all worlds together
	drill  []string // more arguments for jenner drill
	// people is what people do in the world while the drill goes on, until ctx ends, which is no error. What they find wrong
	// fails the scenario.
	people  func(ctx context.Context, w *world) error
	verdict string // instead of PROVEN, where the experiment says that another one is expected
}

// need is a program, the Debian package that has it, and where to look beside PATH.
type need struct {
	program, debian string
	folders         []string
}

func (s scenario) title() string { return s.id + " " + s.name }

// inRounds changes how many rounds there are, unless that is 0.
func (s *scenario) inRounds(rounds int) {
	switch {
	case rounds == 0:
	case s.worlds > 1:
		s.worlds, s.rounds = rounds, rounds
	default:
		s.rounds = rounds
		s.drill = append(s.drill, "--repeat", strconv.Itoa(rounds))
	}
}

// want is the verdict that every round must come out as.
func (s scenario) want() string { return cmp.Or(s.verdict, "PROVEN") }

// outcome is what a scenario came to.
type outcome struct {
	line   string
	proven bool
}

// round is a drill's result as `jenner drill --json` gives it.
type round struct {
	Verdict     string   `json:"verdict"`
	Cause       string   `json:"cause"`
	Runbook     string   `json:"runbook"`
	DetectedMS  int64    `json:"detected_ms"`
	RecoveredMS int64    `json:"recovered_ms"`
	Reasons     []string `json:"reasons"`
}

// run builds the worlds, drills, and says in one line what came out.
func (s scenario) run(ctx context.Context, programs string, keep bool) outcome {
	fmt.Fprintf(os.Stderr, "%s: %s\n", s.title(), s.about)
	var rounds []round
	for i := range max(1, s.worlds) {
		w, err := newWorld(programs, s)
		if err != nil {
			return outcome{line: fmt.Sprintf("%s FAILED %v", s.title(), err)}
		}
		found, err := s.once(ctx, w)
		rounds = append(rounds, found...)
		good := err == nil && len(found) > 0 && !slices.ContainsFunc(found, func(r round) bool { return r.Verdict != s.want() })
		err = errors.Join(err, w.end(keep && !good && ctx.Err() == nil))
		if err != nil {
			return outcome{line: fmt.Sprintf("%s FAILED in world %d: %v", s.title(), i+1, err)}
		}
	}
	return s.sum(rounds)
}

// once drills in one world.
func (s scenario) once(ctx context.Context, w *world) ([]round, error) {
	if err := s.build(ctx, w); err != nil {
		return nil, fmt.Errorf("cannot build the world: %w", err)
	}
	if err := w.write(); err != nil {
		return nil, err
	}
	experiment := cmp.Or(s.experiment, "experiment.yaml")
	args := append([]string{"drill", w.path("jenner", experiment), "--config", w.path("jenner"), "--data", w.path("data"),
		"--baseline", "3s", "--json"}, s.drill...)
	cmd := exec.CommandContext(ctx, filepath.Join(w.programs, "jenner"), args...)
	cmd.Stderr = indented(os.Stderr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this program; a second signal would cut the order short
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 90 * time.Second // it puts things in order first
	busy, leave := context.WithCancel(ctx)
	defer leave()
	left := make(chan error, 1)
	go func() { left <- s.busy(busy, w) }()
	out, err := cmd.Output()
	leave()
	if err := <-left; err != nil {
		return nil, err
	}
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1 && len(out) > 0) {
		return nil, fmt.Errorf("jenner drill: %w", err)
	}
	var told struct {
		Drills []round `json:"drills"`
	}
	if err := json.Unmarshal(out, &told); err != nil {
		return nil, fmt.Errorf("jenner drill said no JSON: %w\n%s", err, out)
	}
	return told.Drills, nil
}

// busy is what people do meanwhile.
func (s scenario) busy(ctx context.Context, w *world) error {
	if s.people == nil {
		return nil
	}
	return s.people(ctx, w)
}

// sum puts the rounds into one line: the verdict that most of them did not have, if any did not.
func (s scenario) sum(rounds []round) outcome {
	proven, verdict := 0, s.want()
	var why []string
	var detected, recovered []int64
	for _, r := range rounds {
		if r.Verdict == s.want() {
			proven++
			detected, recovered = known(detected, r.DetectedMS), known(recovered, r.RecoveredMS)
			continue
		}
		verdict = r.Verdict
		why = append(why, r.Reasons...)
	}
	if proven < s.rounds && verdict == s.want() {
		verdict, why = "INCOMPLETE", append(why, fmt.Sprintf("%d rounds were expected", s.rounds))
	}
	line := fmt.Sprintf("%s %s %d/%d", s.title(), verdict, proven, max(s.rounds, len(rounds)))
	for _, one := range []struct {
		what string
		ms   []int64
	}{{"detected", detected}, {"recovered", recovered}} {
		if len(one.ms) > 0 && s.want() == "PROVEN" {
			line += " " + one.what + " " + median(one.ms)
		}
	}
	if len(why) > 0 {
		line += ": " + strings.Join(why, "; ")
	}
	return outcome{line: line, proven: verdict == s.want()}
}

// known adds what happened; what did not, such as a recovery that nobody expects, is -1.
func known(all []int64, ms int64) []int64 {
	if ms < 0 {
		return all
	}
	return append(all, ms)
}

// median is the middle one of some milliseconds, one at least, the lower one of two.
func median(ms []int64) string {
	sorted := slices.Sorted(slices.Values(ms))
	return fmt.Sprintf("%.2fs", float64(sorted[(len(sorted)-1)/2])/1000)
}

// indented sets what a drill says off from the scenarios.
func indented(out io.Writer) io.Writer { return &indenter{out: out, fresh: true} }

type indenter struct {
	out   io.Writer
	fresh bool // a new line begins
}

func (i *indenter) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		if i.fresh {
			line = "  " + line
		}
		i.fresh = strings.HasSuffix(line, "\n")
		if _, err := io.WriteString(i.out, line); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}
