package jenner

// Overall is what all rounds of a drill showed together.
type Overall struct {
	Verdict Verdict `json:"verdict"` // PROVEN only where every round came out PROVEN; else the worst of them
	Rounds  int     `json:"rounds"`  // that were run
	Proven  int     `json:"proven"`  // that came out PROVEN
	// Detected, Acted and Recovered are how the times after the injection are spread over the rounds in which it happened.
	Detected  Spread `json:"detected"`
	Acted     Spread `json:"acted"`
	Recovered Spread `json:"recovered"`
}

// Spread is how some times are spread, in milliseconds. The percentiles are those of the nearest rank: of n times in
// order, the p-th percentile is the one at rank ⌈p/100·n⌉, so that each is a time that was measured. All are -1 where
// there is none.
type Spread struct {
	Count int   `json:"count"`
	Min   int64 `json:"min_ms"`
	P50   int64 `json:"p50_ms"`
	P90   int64 `json:"p90_ms"`
	Max   int64 `json:"max_ms"`
}
