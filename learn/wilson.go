package learn

import "math"

// normal95 is the quantile of the standard normal distribution that a 95 % interval reaches to on both sides.
const normal95 = 1.959963984540054

// Wilson is the lower bound of the 95 % score interval of a share of which right of total were seen, within [0,1]; 0 where
// nothing was seen. A right outside [0, total] is taken for the nearer end.
//
// Few observations give a low bound however well they went: 3 of 3 is 0.44, 20 of 20 is 0.84. The formula is
// (p + z²/2n - z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n), from E. B. Wilson, Probable Inference, the Law of Succession, and
// Statistical Inference, Journal of the American Statistical Association 22 (1927), 209-212.
func Wilson(right, total int) float64 {
	if total <= 0 || right <= 0 {
		return 0
	}
	n := float64(total)
	p := math.Min(float64(right)/n, 1)
	z := normal95 * normal95 / n
	middle := p + z/2
	half := math.Sqrt(z * (p*(1-p) + z/4)) // z·(…) under the root is the formula's, with z² written once
	return math.Min(math.Max((middle-half)/(1+z), 0), 1)
}
