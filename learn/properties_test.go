package learn_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

var anyMode = rapid.SampledFrom([]jenner.Mode{"shadow", "recommend", "approve", "auto", "", "bold"})

// anything draws evidence in which nothing need make sense: modes that nobody stood on, times that tie or are to come,
// other people's judgements, promotions with numbers that no file would be let in with.
func anything(t *rapid.T) learn.Evidence {
	l := born(jenner.Policy{Name: "p", Mode: anyMode.Draw(t, "ceiling"), Promotion: &jenner.Promotion{
		Start:     anyMode.Draw(t, "start"),
		Decisions: rapid.SampledFrom([]int{-1, 0, 1, 2, 5}).Draw(t, "decisions"),
		Success:   jenner.Share(rapid.SampledFrom([]float64{0.1, 0.3, 0, 1, -1, math.NaN()}).Draw(t, "success")),
		Proven:    rapid.SampledFrom([]int{-1, 0, 1, 2}).Draw(t, "proven"),
		ProofAge:  jenner.Duration(rapid.SampledFrom([]time.Duration{-1, 0, time.Minute, time.Hour}).Draw(t, "proof_age")),
	}})
	for range rapid.IntRange(0, 40).Draw(t, "judgements") {
		l.Now = anyMoment(t)
		one := l.judgement(anyMode.Draw(t, "mode"), rapid.SampledFrom([]jenner.Rightness{"right", "right", "right", "wrong", "unknown", "x"}).Draw(t, "right"))
		one.Failed = rapid.IntRange(0, 9).Draw(t, "failed") == 0
		one.Policy = rapid.SampledFrom([]string{"p", "p", "p", "q"}).Draw(t, "policy")
		l.Judgements = append(l.Judgements, one)
	}
	for range rapid.IntRange(0, 6).Draw(t, "proofs") {
		l.Now = anyMoment(t)
		l.Proofs = append(l.Proofs, l.proof(rapid.SampledFrom([]string{"", "d1", "d2", "d3"}).Draw(t, "drill"),
			rapid.SampledFrom([]jenner.Verdict{"PROVEN", "PROVEN", "PROVEN", "HARMFUL", "NO_EFFECT", ""}).Draw(t, "verdict")))
	}
	l.Now = anyMoment(t)
	return l.Evidence
}

func anyMoment(t *rapid.T) time.Time {
	if rapid.IntRange(0, 50).Draw(t, "no time") == 0 {
		return time.Time{}
	}
	zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("east", 7200)}).Draw(t, "zone")
	return begun.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minute")) * time.Minute).In(zone)
}

// latest is a judgement on the rung that the policy stands on, later than all that is known; and the evidence as it is then.
func latest(t *rapid.T, before learn.Evidence, right jenner.Rightness, failed bool) (then, after learn.Evidence) {
	l := life{before}
	l.Now = begun.Add(91 * time.Minute)
	one := l.judgement(anyMode.Draw(t, "on"), right)
	one.Failed = failed
	then, after = l.Evidence, l.Evidence
	after.Judgements = append(slices.Clone(before.Judgements), one)
	return then, after
}

func boldness(e learn.Evidence) int { return learn.Stand(e).Level.Boldness() }

func TestStandTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anything(t)
		got := learn.Stand(e)
		if !slices.Contains(jenner.Modes, got.Level) {
			t.Fatalf("level %q", got.Level)
		}
		if got.Level.Boldness() > got.Ceiling.Boldness() {
			t.Fatalf("%s is above the ceiling %s", got.Level, got.Ceiling)
		}
		if got.Bound < 0 || got.Bound > 1 || got.Right < 0 || got.Wrong < 0 || got.Unknown < 0 || got.Proven < 0 {
			t.Fatalf("numbers out of range: %+v", got)
		}
		if (got.Next != "") != (got.Level.Boldness() < got.Ceiling.Boldness()) || (got.Next != "") != (len(got.Missing) > 0) {
			t.Fatalf("below the ceiling there is a next rung, and something missing for it: %+v", got)
		}
	})
}

func TestTheOrderOfTheEvidenceDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anything(t)
		other := e
		other.Judgements = rapid.Permutation(e.Judgements).Draw(t, "judgements in another order")
		other.Proofs = rapid.Permutation(e.Proofs).Draw(t, "proofs in another order")
		if diff := cmp.Diff(learn.Stand(e), learn.Stand(other)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWithoutEvidenceItIsStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anything(t)
		e.Judgements, e.Proofs = nil, nil
		got := learn.Stand(e)
		if want := min(e.Policy.Promotion.Start.Boldness(), got.Ceiling.Boldness()); got.Level.Boldness() != want {
			t.Fatalf("it begins on %s", got.Level)
		}
	})
}

// TestNewsMovesItTheRightWay: whatever was before, the newest decision lifts the policy by one rung at most, and only where
// it was right; what went wrong never lifts it, and what was right never costs anything.
func TestNewsMovesItTheRightWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anything(t)
		then, after := latest(t, e, jenner.WrongDecision, false)
		if boldness(after) > boldness(then) {
			t.Fatal("a wrong decision lifts it")
		}
		then, after = latest(t, e, jenner.RightDecision, true)
		if boldness(after) > boldness(then) {
			t.Fatal("a failed verification lifts it")
		}
		then, after = latest(t, e, jenner.UnknownDecision, false)
		if boldness(after) != boldness(then) {
			t.Fatal("a decision that nobody could score moves it")
		}
		then, after = latest(t, e, jenner.RightDecision, false)
		if was, is := boldness(then), boldness(after); is < was || is > was+1 {
			t.Fatalf("a right decision takes it from %d to %d", was, is)
		}
		l := life{then}
		l.drill(jenner.VerdictHarmful)
		if start := e.Policy.Promotion.Start; boldness(l.Evidence) > start.Boldness() {
			t.Fatalf("after harm it stands on %s, above %s", learn.Stand(l.Evidence).Level, start)
		}
	})
}

// TestAFailureIsFelt: where a policy does what it may on the rung it stands on and fails, it loses a rung, unless it is on
// Start already.
func TestAFailureIsFelt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anything(t)
		e.Now = begun.Add(91 * time.Minute)
		before := learn.Stand(e)
		l := life{e}
		l.Judgements = slices.Clone(e.Judgements)
		one := l.judgement(before.Level, jenner.WrongDecision)
		one.Failed = true
		l.Judgements = append(l.Judgements, one)
		after := learn.Stand(l.Evidence)
		start := e.Policy.Promotion.Start.Boldness()
		if was := before.Level.Boldness(); was > start && after.Level.Boldness() != was-1 {
			t.Fatalf("from %s it fell to %s", before.Level, after.Level)
		}
	})
}

// TestAWrongOneInThePastLiftsNothing, and neither does a failure, wherever in the history they are put; and a right one costs
// nothing. It is about one rung, as the evidence of the next one would be another had it been reached at another time, and
// about the usual numbers, of which the bound asks for more than the count as soon as one decision is wrong.
func TestAWrongOneInThePastLiftsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := born(jenner.Policy{Name: "p", Mode: jenner.ModeAuto, Promotion: &jenner.Promotion{}})
		add := func(right jenner.Rightness, failed bool) {
			l.Now = anyMoment(t)
			one := l.judgement(jenner.ModeShadow, right)
			one.Failed = failed
			l.Judgements = append(l.Judgements, one)
		}
		for range rapid.IntRange(15, 45).Draw(t, "judgements") {
			draw := rapid.IntRange(0, 40).Draw(t, "draw")
			add(map[bool]jenner.Rightness{true: "wrong", false: "right"}[draw < 2], draw == 0)
		}
		known := len(l.Judgements)
		end := begun.Add(2 * time.Hour)
		stand := func() int { l.Now = end; return boldness(l.Evidence) }
		was := stand()
		add(jenner.WrongDecision, false)
		if stand() > was {
			t.Fatal("a wrong decision in the past lifts it")
		}
		l.Judgements = l.Judgements[:known]
		add(jenner.WrongDecision, true)
		if stand() > was {
			t.Fatal("a failure in the past lifts it")
		}
		l.Judgements = l.Judgements[:known]
		add(jenner.RightDecision, false)
		if stand() < was {
			t.Fatal("a right decision in the past costs a rung")
		}
	})
}

func TestWilson(t *testing.T) {
	// The middle ones are the examples of R. G. Newcombe, Two-sided confidence intervals for the single proportion,
	// Statistics in Medicine 17 (1998), table I, method 3.
	for _, c := range []struct {
		right, total int
		want         float64
	}{
		{0, 0, 0}, {0, 5, 0}, {5, 0, 0}, {-1, 5, 0}, {3, -1, 0},
		{81, 263, 0.2553}, {15, 148, 0.0624}, {1, 29, 0.0061}, {0, 20, 0},
		{3, 3, 0.4385}, {20, 20, 0.8389}, {25, 20, 0.8389},
	} {
		if got := learn.Wilson(c.right, c.total); !(math.Abs(got-c.want) <= 5e-5) { // NaN is not near
			t.Errorf("Wilson(%d, %d) = %.5f, want %.4f", c.right, c.total, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		right, wrong := rapid.IntRange(0, 1e6).Draw(t, "right"), rapid.IntRange(0, 1e6).Draw(t, "wrong")
		bound := learn.Wilson(right, right+wrong)
		if bound < 0 || bound > 1 || right+wrong > 0 && bound > float64(right)/float64(right+wrong) {
			t.Fatalf("the bound %v is no lower bound", bound)
		}
		if learn.Wilson(right+1, right+wrong+1) <= bound {
			t.Fatal("a right one more does not raise the bound")
		}
		if more := learn.Wilson(right, right+wrong+1); right > 0 && more >= bound {
			t.Fatal("a wrong one more does not lower the bound")
		}
	})
}
