// Command scenarios breaks real systems in the ways that people are called at night for, lets Jenner heal them, and prints
// one line for each: `S20 poison PROVEN 3/3 detected 1.2s recovered 2.0s`.
//
// It is for showing, on this machine, that the loop works on the real thing: PostgreSQL, nginx, HAProxy, Redis, NATS. It is
// not part of the product: it starts `jenner drill` as anybody would, on files that anybody could write. It installs
// nothing, ends what it starts, and removes what it makes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jenner-heal/jenner/internal/lab"
)

// scenarios are all of them, by name. Each file adds its own.
var scenarios []scenario

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	list := flag.Bool("list", false, "say which scenarios there are and what they need, and run none")
	keep := flag.Bool("keep", false, "do not remove the folder of a scenario that did not come out as expected")
	kube := flag.Bool("kube", false, "the scenarios in the cluster that KUBECONFIG names, instead of those on this machine")
	rounds := flag.Int("rounds", 0, "how many rounds each scenario has; as many as it says itself where not said")
	versus := flag.Int("compare", 0, "run no scenario, but compare in that cluster, in so many rounds, how fast Kubernetes alone and Jenner heal; the NAMEs are of troubles")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "go run ./scenarios [--kube] [--list] [--keep] [--rounds N] [NAME...]\n\n"+
			"Runs the scenarios of these names, or all; S2 means all whose name begins with it. Exit code 0 only where every one\n"+
			"came out PROVEN in every round.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	var names []string // of scenarios; those of troubles are compare's
	if *versus == 0 {
		names = flag.Args()
	}
	chosen, err := choose(names, *kube)
	for i := range chosen {
		chosen[i].inRounds(*rounds)
	}
	if err == nil {
		err = missing(chosen, *list)
	}
	switch {
	case err != nil || *list:
	case *versus > 0:
		err = compare(ctx, *versus, flag.Args(), *keep)
	default:
		err = runAll(ctx, chosen, *keep)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "scenarios: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// choose finds the scenarios that are meant, of those in a cluster or of those on this machine.
func choose(names []string, kube bool) ([]scenario, error) {
	scenarios := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.kube != kube })
	slices.SortFunc(scenarios, func(a, b scenario) int {
		if a.id != b.id {
			return number(a.id) - number(b.id)
		}
		return strings.Compare(a.name, b.name)
	})
	if len(names) == 0 {
		return scenarios, nil
	}
	var chosen []scenario
	for _, name := range names {
		before := len(chosen)
		for _, s := range scenarios {
			if strings.EqualFold(s.id, name) || strings.EqualFold(s.title(), name) {
				chosen = append(chosen, s)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("there is no scenario %q; --list names them", name)
		}
	}
	return chosen, nil
}

func number(id string) int {
	n := 0
	_, _ = fmt.Sscanf(id, "S%d", &n)
	return n
}

// missing says which programs are not there, and what to install.
func missing(chosen []scenario, list bool) error {
	packages := map[string]bool{}
	for _, s := range chosen {
		if list {
			fmt.Printf("%s: %s\n", s.title(), s.about)
		}
		for _, need := range s.needs {
			if _, err := lab.Need(need.program, need.debian, need.folders...); err != nil {
				packages[need.debian] = true
			}
		}
	}
	if len(packages) == 0 {
		return nil
	}
	var names []string
	for name := range packages {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Errorf("these programs are needed and not here: apt-get install --no-install-recommends %s", strings.Join(names, " "))
}

// runAll builds the programs once and runs one scenario after the other.
func runAll(ctx context.Context, chosen []scenario, keep bool) error {
	dir, err := buildPrograms(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var lines []string
	failed := 0
	for _, s := range chosen {
		outcome := s.run(ctx, dir, keep)
		fmt.Fprintln(os.Stderr, outcome.line)
		lines = append(lines, outcome.line)
		if !outcome.proven {
			failed++
		}
		if ctx.Err() != nil {
			return errors.New("stopped; everything that was started has been ended")
		}
	}
	fmt.Println(strings.Join(lines, "\n"))
	if failed > 0 {
		return fmt.Errorf("%d of %d scenarios did not come out PROVEN", failed, len(chosen))
	}
	return nil
}

// buildPrograms builds jenner and the programs that scenarios are about into a folder of their own, which the caller removes.
func buildPrograms(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "jenner-scenarios-")
	if err != nil {
		return "", err
	}
	for name, from := range map[string]string{"jenner": "./cmd/jenner", "app": "./scenarios/app"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), from)
		if said, err := build.CombinedOutput(); err != nil {
			return "", errors.Join(fmt.Errorf("cannot build %s: %w\n%s", from, err, said), os.RemoveAll(dir))
		}
	}
	return dir, os.Chmod(dir, 0o755) // programs that run as somebody else must reach their folders
}
