package loop_test

import (
	"context"
	flags "flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/provider/sim"
	"github.com/jenner-heal/jenner/store/memory"
	"github.com/jenner-heal/jenner/store/sqlite"
)

var (
	simSeeds     = flags.String("sim.seeds", "1-12", "the seeds of TestSimulation: 7, 1-500 or 3,5,9-12")
	simIncidents = flags.Int("sim.incidents", 40, "how many incidents one seed of TestSimulation has at least")
	simTrace     = flags.Bool("sim.trace", false, "print everything that happens in TestSimulation")
)

// TestSimulation plays histories that nobody thought of: the two lines on a fake world in which services die, hang and
// answer late, many at once too, alerts come late, twice or not at all, people vote, stop Jenner and change things
// themselves, the clock jumps, and Jenner is killed before and after any use of the disk. Each seed is one history. What
// must hold whatever happens (see simulation_law_test.go) is checked at every step, and when the world has become calm
// everything must come to its end.
//
// A seed that fails is played again, event for event, by the command that the failure prints.
func TestSimulation(t *testing.T) {
	var incidents, steps, deaths, effects atomic.Int64
	seeds := make(chan uint64)
	var playing sync.WaitGroup
	began := time.Now()
	for range 2 {
		playing.Go(func() {
			for seed := range seeds {
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					s := simulate(t, seed, *simIncidents)

					incidents.Add(int64(s.opened))
					steps.Add(int64(s.steps))
					deaths.Add(int64(s.deaths))
					effects.Add(int64(s.law.effects))
				})
			}
		})
	}
	for _, seed := range parseSeeds(t, *simSeeds) {
		seeds <- seed
	}
	close(seeds)
	playing.Wait()
	took := time.Since(began)
	t.Logf("%d incidents in %s (%.0f a second): %d steps, %d effects, Jenner was killed %d times", incidents.Load(),
		took.Round(time.Millisecond), float64(incidents.Load())/took.Seconds(), steps.Load(), effects.Load(), deaths.Load())
}

// TestSimulationReplays: a seed is one history, event for event, however often and on whatever machine it is played.
func TestSimulationReplays(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		first, second := simulate(t, seed, 25), simulate(t, seed, 25)
		if first.hash.Sum64() != second.hash.Sum64() {
			t.Errorf("seed %d was played twice and came out as %016x and %016x; the first one ended\n%s\nand the second one\n%s", seed,
				first.hash.Sum64(), second.hash.Sum64(), first.last(15), second.last(15))
		}
		if other := simulate(t, seed+1000, 25); other.hash.Sum64() == first.hash.Sum64() {
			t.Errorf("seeds %d and %d are the same history", seed, seed+1000)
		}
	}
}

func parseSeeds(t *testing.T, written string) []uint64 {
	var seeds []uint64
	for _, part := range strings.Split(written, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 64)
		last, err2 := strconv.ParseUint(to, 10, 64)
		if err != nil || err2 != nil || last < first {
			t.Fatalf("-sim.seeds %q: write 7, 1-500 or 3,5,9-12", written)
		}
		for seed := first; seed <= last; seed++ {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// simulation is one history.
type simulation struct {
	*schedule
	t         *testing.T
	seed      uint64
	incidents int // trouble goes on until so many were opened
	began     time.Time
	life      context.Context // ends with the history
	dir       string
	world     *sim.World
	docs      *jenner.Documents
	temper    temper
	workers   int
	law       *law
	kept      keeping
	program   *simProgram // nil while Jenner is dead

	offset    time.Duration // of Jenner's clock
	stopped   *jenner.Hold  // the kill switch
	stoppedAt time.Time
	blind     bool
	calm      bool // no more trouble is made
	fatal     int  // at the how manyth use of the disk from now on Jenner dies; 0: it does not
	names     int
	opened    int
	steps     int
	deaths    int
	broken    bool
	hash      interface {
		Write(p []byte) (int, error)
		Sum64() uint64
	}
	told []string // the last lines of the trace
}

// simulate plays one history and gives it when it is over.
func simulate(t *testing.T, seed uint64, incidents int) *simulation {
	t.Helper()
	s := &simulation{t: t, seed: seed, incidents: incidents, hash: fnv.New64a(), dir: t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		s.t = t
		s.play()
	})
	return s
}

// onDisk is which of the seeds, every so manyth, is played on SQLite; the others are on a store in memory, which passes the
// same conformance suite and is faster.
const onDisk = 25

func (s *simulation) keep() {
	if s.seed%onDisk != 0 {
		s.kept = keepingInMemory{memory.New(s.clock)}
		return
	}
	store, err := sqlite.Open(s.dir, sqlite.Options{})
	s.must(err)
	s.kept = keepingOnDisk{store}
}

// troubled is how long trouble is made at most, where incidents are rare.
const troubled = 5 * time.Minute

// longEnough is after how long in a calm world everything must have come to its end. The longest waits are those of a drill
// for calm, of an incident whose alerts nobody can see, and of a request that nobody answers: about a minute each.
const longEnough = 20 * time.Minute

func (s *simulation) play() {
	s.schedule = newSchedule(rand.New(rand.NewPCG(s.seed, 1)))
	s.began = time.Now()
	var end context.CancelFunc
	s.life, end = context.WithCancel(context.Background())
	s.world = sim.NewWorld(fmt.Sprint("seed ", s.seed), time.Now)
	defer s.world.Close()
	s.world.Wait = s.wait
	s.world.Noted = func(effect sim.Effect) { s.law.noted(effect) }
	s.law = newLaw(s)
	s.keep()
	s.invent()
	s.boot()
	for s.goesOn() && s.next() {
		s.died()
	}
	if s.program != nil {
		s.law.ended()
		s.program.kill()
	}
	end()
	s.kill()
	s.must(s.kept.Close())
	s.note("ended with %d incidents", s.opened)
	if *simTrace {
		s.t.Logf("seed %d: %016x", s.seed, s.hash.Sum64())
	}
}

// goesOn is true until enough has happened, the world has become calm, and all that was open has ended.
func (s *simulation) goesOn() bool {
	switch {
	case s.broken:
		return false
	case !s.calm && (s.opened >= s.incidents || time.Since(s.began) > troubled):
		s.calmDown()
		return true
	case !s.calm:
		return true
	}
	open := s.law.open()
	if len(open) == 0 && s.program != nil {
		return false
	}
	if time.Since(s.law.calmSince) > longEnough {
		s.breaks("every incident ends", "the world is calm since %s, and open are %v", longEnough, open)
		return false
	}
	return true
}

// letPass lets virtual time pass, which takes no real time within the bubble of testing/synctest.
func letPass(d time.Duration) {
	if d > 0 {
		time.Sleep(d)
	}
}

// clock is Jenner's clock, which jumps. It has no monotonic part, since what is stored has none either.
func (s *simulation) clock() time.Time { return time.Now().Add(s.offset).Round(0) }

func (s *simulation) newID(prefix string, _ time.Time) string {
	s.names++
	return fmt.Sprintf("%s-%04d", prefix, s.names)
}

// note adds a line to the trace.
func (s *simulation) note(format string, args ...any) {
	line := fmt.Sprintf("%12s ", time.Since(s.began).Round(time.Microsecond)) + fmt.Sprintf(format, args...)
	_, _ = s.hash.Write([]byte(line))
	if *simTrace {
		fmt.Fprintln(os.Stderr, line)
	}
	if s.told = append(s.told, line); len(s.told) > 400 {
		s.told = append([]string{}, s.told[300:]...)
	}
}

func (s *simulation) last(lines int) string {
	return strings.Join(s.told[max(0, len(s.told)-lines):], "\n")
}

// breaks says that something does not hold that must, and ends the history.
func (s *simulation) breaks(rule, format string, args ...any) {
	if s.broken {
		return
	}
	s.broken = true
	s.t.Errorf("seed %d breaks, at step %d, the rule that %s:\n%s\n\nthe last that happened:\n%s\n\nplay it again with\n"+
		"go test ./loop -run 'TestSimulation$' -sim.seeds %d -sim.incidents %d -sim.trace", s.seed, s.steps, rule,
		fmt.Sprintf(format, args...), s.last(60), s.seed, s.incidents)
}

func (s *simulation) must(err error) {
	if err != nil {
		s.breaks("the simulation itself works", "%v", err)
	}
}

// between is a time in that range, with no round values, so that no two clocks ever agree by accident.
func (s *simulation) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.chance.Int64N(int64(to-from)))
}

func (s *simulation) maybe(share float64) bool { return s.chance.Float64() < share }

func pick[T any](s *simulation, from ...T) T { return from[s.chance.IntN(len(from))] }
