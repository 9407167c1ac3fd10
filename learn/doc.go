// Package learn remembers: how incidents ended, what drills proved, and the numbers that tell how well Jenner does.
//
// It is for outcomes, proofs and metrics, all computed from records that others made. It is not for storing them (that
// is the store's business), and nothing here changes what the line decides by itself.
package learn
