package chaos

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

func TestOverallIsTheWorst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		verdicts := rapid.SliceOfN(rapid.SampledFrom(jenner.Verdicts), 0, 6).Draw(t, "verdicts")
		var results []jenner.DrillResult
		proven := 0
		for _, verdict := range verdicts {
			results = append(results, jenner.DrillResult{Verdict: verdict, DetectedMS: -1, ActedMS: -1, RecoveredMS: -1})
			if verdict == jenner.VerdictProven {
				proven++
			}
		}
		overall := Overall(results)
		all := len(verdicts) > 0 && proven == len(verdicts)
		if (overall.Verdict == jenner.VerdictProven) != all || overall.Proven != proven || overall.Rounds != len(verdicts) {
			t.Fatalf("%v together are %+v", verdicts, overall)
		}
		if len(verdicts) > 0 && !slices.Contains(verdicts, overall.Verdict) {
			t.Fatalf("%v together are %s, which none of them is", verdicts, overall.Verdict)
		}
		shuffled := Overall(rapid.Permutation(results).Draw(t, "shuffled"))
		if shuffled != overall {
			t.Fatalf("in another order they are %+v, and were %+v", shuffled, overall)
		}
		for _, verdict := range jenner.Verdicts { // one more round makes nothing better
			more := Overall(append(slices.Clone(results), jenner.DrillResult{Verdict: verdict}))
			if len(verdicts) > 0 && slices.Index(worst, more.Verdict) > slices.Index(worst, overall.Verdict) {
				t.Fatalf("%v are %s, and with %s they are %s", verdicts, overall.Verdict, verdict, more.Verdict)
			}
		}
	})
	if len(worst) != len(jenner.Verdicts) {
		t.Errorf("%d verdicts are in order, and there are %d", len(worst), len(jenner.Verdicts))
	}
}

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		times []int64
		want  jenner.Spread
	}{
		{nil, jenner.Spread{Min: -1, P50: -1, P90: -1, Max: -1}},
		{[]int64{-1, -1}, jenner.Spread{Min: -1, P50: -1, P90: -1, Max: -1}},
		{[]int64{7}, jenner.Spread{Count: 1, Min: 7, P50: 7, P90: 7, Max: 7}},
		{[]int64{20, -1, 15, 50, 35, 40}, jenner.Spread{Count: 5, Min: 15, P50: 35, P90: 50, Max: 50}},
		{[]int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, jenner.Spread{Count: 10, Min: 1, P50: 5, P90: 9, Max: 10}},
	} {
		before := slices.Clone(test.times)
		if got := SpreadOf(test.times); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.times, got, test.want)
		}
		if !slices.Equal(test.times, before) {
			t.Errorf("%v were put in order: %v", before, test.times)
		}
	}
}

// TestSpreadIsOfTimesThatWereMeasured: each number is one of the times, at least so many are not above it, and they are in
// order.
func TestSpreadIsOfTimesThatWereMeasured(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 40).Draw(t, "times")
		spread := SpreadOf(times)
		if !slices.IsSorted([]int64{spread.Min, spread.P50, spread.P90, spread.Max}) {
			t.Fatalf("%v: %+v", times, spread)
		}
		for percent, value := range map[int]int64{50: spread.P50, 90: spread.P90, 100: spread.Max} {
			atMost, below := 0, 0
			for _, one := range times {
				if one <= value {
					atMost++
				}
				if one < value {
					below++
				}
			}
			if !slices.Contains(times, value) || 100*atMost < percent*len(times) || 100*below >= percent*len(times) {
				t.Fatalf("%d %% of %v are %d", percent, times, value)
			}
		}
	})
}

func TestBreak(t *testing.T) {
	number := func(n float64) *jenner.Number { value := jenner.Number(n); return &value }
	for _, test := range []struct {
		name          string
		invariant     jenner.Invariant
		before, after string
		want          string
		unknown       bool
	}{
		{"the same", jenner.Invariant{Same: true}, "a\nb", "a\nb", "", false},
		{"not the same", jenner.Invariant{Name: "rows", Same: true}, "7", "7.0", "rows is 7.0 and was 7", false},
		{"a long answer", jenner.Invariant{Name: "sum", Same: true}, strings.Repeat("x", 200), "y", "sum is y and was " + strings.Repeat("x", 80) + "…", false},
		{"it may not rise, and does not", jenner.Invariant{RisesAtMost: number(0)}, "3", "3", "", false},
		{"it falls", jenner.Invariant{RisesAtMost: number(0)}, "3", "-1", "", false},
		{"it rises", jenner.Invariant{Name: "lost", RisesAtMost: number(0)}, "3", "4", "lost rose from 3 to 4, and may rise by 0 at most", false},
		{"it rises as much as it may", jenner.Invariant{RisesAtMost: number(0.3)}, "0.1", "0.4", "", false},
		{"not above", jenner.Invariant{Below: number(5)}, "90", "5", "", false},
		{"above", jenner.Invariant{Name: "queue", Below: number(5)}, "1", "6", "queue is 6, above 5, and was 1", false},
		{"below", jenner.Invariant{Name: "replicas", Above: number(2)}, "3", "1", "replicas is 1, below 2, and was 3", false},
		{"a range", jenner.Invariant{Above: number(2), Below: number(4)}, "0", "3", "", false},
		{"no number before", jenner.Invariant{RisesAtMost: number(0)}, "many", "4", "", true},
		{"no number after", jenner.Invariant{Below: number(0)}, "1", "NaN", "", true},
		{"no number, and not the same", jenner.Invariant{Name: "x", Same: true, Below: number(0)}, "a", "b", "x is b and was a", false},
	} {
		got, err := Break(test.invariant, test.before, test.after)
		if got != test.want || (err != nil) != test.unknown {
			t.Errorf("%s: %q (%v), want %q", test.name, got, err, test.want)
		}
	}
}

// TestBreakMeansWhatItSays holds each bound against its meaning.
func TestBreakMeansWhatItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		figure := func(name string) float64 { return float64(rapid.IntRange(-5, 5).Draw(t, name)) }
		before, after, bound := figure("before"), figure("after"), jenner.Number(figure("bound"))
		text := func(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }
		for name, one := range map[string]struct {
			invariant jenner.Invariant
			holds     bool
		}{
			"rises": {jenner.Invariant{RisesAtMost: &bound}, after-before <= float64(bound)},
			"below": {jenner.Invariant{Below: &bound}, after <= float64(bound)},
			"above": {jenner.Invariant{Above: &bound}, after >= float64(bound)},
			"same":  {jenner.Invariant{Same: true}, after == before},
		} {
			broken, err := Break(one.invariant, text(before), text(after))
			if err != nil || (broken == "") != one.holds {
				t.Fatalf("%s: from %g to %g with %g: %q (%v)", name, before, after, float64(bound), broken, err)
			}
		}
	})
}
