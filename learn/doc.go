// Package learn remembers: how incidents ended, what drills proved, whether decisions turned out right, what a policy has
// earned by that, and the numbers that tell how well Jenner does.
//
// It is for outcomes, proofs and what they cover, judgements, standings, scorecards and metrics, all computed from records
// that others made. It is not for storing them (that is the store's business), and nothing here changes what the line
// decides by itself: how bold a standing lets a policy be is for the guards to say.
package learn
