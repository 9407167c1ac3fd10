package jenner

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"300ms": 300 * time.Millisecond, "5s": 5 * time.Second, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute,
		"30d": 30 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, "1.5s": 1500 * time.Millisecond,
		"1.001s": 1001 * time.Millisecond, "250us": 250 * time.Microsecond, "250µs": 250 * time.Microsecond, "7ns": 7,
		"0": 0, "0s": 0, " 5s ": 5 * time.Second, "292y": -1, "5": -1, "": -1, "s": -1, "-5s": -1, "+5s": -1, "5s x": -1,
		"1h 30m": -1, "5 s": -1, "1e3s": -1, "5S": -1, ".5s": -1, "1..5s": -1, "300000000000h": -1, "106752d": -1,
	} {
		got, err := ParseDuration(text)
		switch {
		case want < 0 && err == nil:
			t.Errorf("%q is read as %s, and must be refused", text, got)
		case want < 0 && !strings.Contains(err.Error(), text):
			t.Errorf("the error for %q does not name it: %v", text, err)
		case want >= 0 && (err != nil || got.Std() != want):
			t.Errorf("%q is read as %s (%v), want %s", text, got, err, want)
		}
	}
}

// TestDurationsAreWrittenAsTheyAreRead holds for whole milliseconds up to ten years, which is all that people write.
func TestDurationsAreWrittenAsTheyAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.OneOf(rapid.Int64Range(0, 60_000), rapid.Int64Range(0, 10*365*24*3600*1000))
		duration := Duration(ms.Draw(t, "ms") * int64(time.Millisecond))
		var again Duration
		text, err := duration.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalText(text); err != nil || again != duration {
			t.Fatalf("%d ns is written as %s and read as %d ns (%v)", duration, text, again, err)
		}
	})
}

func TestDurationsAreWrittenShort(t *testing.T) {
	for duration, want := range map[time.Duration]string{
		0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 24 * time.Hour: "1d", 720 * time.Hour: "30d",
		1500 * time.Millisecond: "1.5s", time.Hour + time.Second: "1h0m1s",
	} {
		if got := Duration(duration).String(); got != want {
			t.Errorf("%d ns is written as %s, want %s", duration, got, want)
		}
	}
	if got := Duration(0).Or(time.Minute); got != time.Minute {
		t.Errorf("zero or a minute is %s", got)
	}
	if got := Duration(time.Second).Or(time.Minute); got != time.Second {
		t.Errorf("a second or a minute is %s", got)
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]float64{
		"0.7": 0.7, "120": 120, "70%": 0.7, "-3": -3, " 5 ": 5, "1e3": 1000, "250%": 2.5,
		"": math.NaN(), "x": math.NaN(), "NaN": math.NaN(), "inf": math.NaN(), "70 %%": math.NaN(), "%": math.NaN(), "1e999": math.NaN(),
	} {
		var number Number
		err := number.UnmarshalText([]byte(text))
		if math.IsNaN(want) != (err != nil) || err == nil && math.Abs(float64(number)-want) > 1e-12 {
			t.Errorf("%q is read as %v (%v), want %v", text, number, err, want)
		}
	}
	for _, raw := range []string{`0.7`, `"0.7"`, `"70%"`} {
		var number Number
		if err := json.Unmarshal([]byte(raw), &number); err != nil || math.Abs(float64(number)-0.7) > 1e-12 {
			t.Errorf("the JSON %s is read as %v (%v), want 0.7", raw, number, err)
		}
	}
}

func TestSharesStayWithinTheWhole(t *testing.T) {
	for text, ok := range map[string]bool{
		"0": true, "100%": true, "1": true, "99.9%": true, "0.15": true, "101%": false, "-1%": false, "15": false, "a lot": false,
	} {
		share := Share(0.5)
		if err := share.UnmarshalText([]byte(text)); ok != (err == nil) {
			t.Errorf("%q: %v", text, err)
		} else if err != nil && share != 0.5 {
			t.Errorf("%q is refused, and changed the value to %v", text, share)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		share := Share(rapid.Float64Range(0, 1).Draw(t, "share"))
		text, err := share.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again Share
		if err := again.UnmarshalText(text); err != nil || math.Abs(float64(again-share)) > 1e-12 {
			t.Fatalf("%v is written as %s and read as %v (%v)", float64(share), text, float64(again), err)
		}
	})
}

func TestConfidences(t *testing.T) {
	for text, want := range map[string]Confidence{
		"low": 0.5, "medium": 0.75, "high": 0.9, "0.92": 0.92, "92%": 0.92, "0": 0, "1": 1,
		"High": -1, "certain": -1, "1.01": -1, "-0.1": -1, "": -1, "NaN": -1,
	} {
		var confidence Confidence
		err := confidence.UnmarshalText([]byte(text))
		if (want < 0) != (err != nil) || err == nil && math.Abs(float64(confidence-want)) > 1e-12 {
			t.Errorf("%q is read as %v (%v), want %v", text, confidence, err, want)
		}
	}
	var confidence Confidence
	if err := json.Unmarshal([]byte(`"high"`), &confidence); err != nil || confidence != 0.9 {
		t.Errorf("the JSON word is read as %v (%v)", confidence, err)
	}
}

func TestLimitsAreWrittenAsTheyAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"15%": "15%", "3": "3", "15% 3": "15% 3", "3 15%": "15% 3", "15%, 3": "15% 3", "0": "0", "0%": "0%",
		"": "", " ": "", "-1": "", "101%": "", "3 3": "", "15% 15%": "", "some": "", "1.5": "",
	} {
		var limit Limit
		err := limit.UnmarshalText([]byte(text))
		if (want == "") != (err != nil) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if written, _ := limit.MarshalText(); string(written) != want {
			t.Errorf("%q is written as %q, want %q", text, written, want)
		}
	}
}

// percent is a limit of whole percents; count is one of a number.
func percent(p int) Limit { share := Share(float64(p) / 100); return Limit{Share: &share} }
func count(n int) Limit   { return Limit{Count: &n} }

// TestL5AShareRoundsDownButNeverBelowOne compares with whole numbers, which do not round.
func TestL5AShareRoundsDownButNeverBelowOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, total := rapid.IntRange(0, 100).Draw(t, "percent"), rapid.IntRange(-3, 100000).Draw(t, "total")
		want := max(p*max(total, 0)/100, 0)
		if p > 0 && total > 0 {
			want = max(want, 1)
		}
		if got := percent(p).Of(total); got != want {
			t.Fatalf("%d%% of %d is %d, want %d", p, total, got, want)
		}
	})
}

func TestL5ALimitNeverAllowsMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := Limit{}
		if rapid.Bool().Draw(t, "with a share") {
			limit.Share = percent(rapid.IntRange(0, 100).Draw(t, "percent")).Share
		}
		if rapid.Bool().Draw(t, "with a count") {
			limit.Count = count(rapid.IntRange(0, 50).Draw(t, "count")).Count
		}
		total := rapid.IntRange(-3, 200).Draw(t, "total")
		got := limit.Of(total)
		parts := []int{max(total, 0)}
		if limit.Share != nil {
			parts = append(parts, Limit{Share: limit.Share}.Of(total))
		}
		if limit.Count != nil {
			parts = append(parts, Limit{Count: limit.Count}.Of(total))
			parts = append(parts, *limit.Count)
		}
		want := slices.Min(parts)
		if limit.Share == nil && limit.Count == nil {
			want = 0
		}
		if got != want {
			t.Fatalf("of share and count the smaller holds: got %d of %d, want %d", got, total, want)
		}
		if more := limit.Of(total + 1); more < got {
			t.Fatalf("%d of %d, and only %d of one more", got, total, more)
		}
	})
}

func TestL5TheZeroLimitAllowsNothing(t *testing.T) {
	for _, total := range []int{-1, 0, 1, 1000} {
		if got := (Limit{}).Of(total); got != 0 {
			t.Errorf("a limit that says nothing allows %d of %d", got, total)
		}
	}
	if got := count(0).Of(10); got != 0 {
		t.Errorf("a count of 0 allows %d", got)
	}
	if got := percent(29).Of(100); got != 29 {
		t.Errorf("29%% of 100 is %d: binary rounding shows", got)
	}
}

func TestUnitsOfABlastRadius(t *testing.T) {
	radius := BlastRadius{"max_pods": count(2), "max_connections": percent(15)}
	if got := radius.Units(); !slices.Equal(got, []string{"connections", "pods"}) {
		t.Errorf("the units are %v", got)
	}
}
