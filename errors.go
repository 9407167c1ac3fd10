package jenner

import "errors"

// What says what happens after an error.
type What string

// What may happen next.
const (
	TryAgain  What = "retry"        // it may pass by itself
	NeverMind What = "never"        // trying again cannot help
	TellHuman What = "tell a human" // nobody but a person can tell
)

// Error is an error that says what happens next and gives the person who reads it a hint.
type Error struct {
	Err  error
	Next What
	Hint string
}

// Error is the cause, and the hint where there is one.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + "; " + e.Hint
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Retryable marks an error that may pass by itself.
func Retryable(err error, hint string) error { return &Error{err, TryAgain, hint} }

// Permanent marks an error that trying again cannot change.
func Permanent(err error, hint string) error { return &Error{err, NeverMind, hint} }

// ForHuman marks an error that only a person can settle.
func ForHuman(err error, hint string) error { return &Error{err, TellHuman, hint} }

// NextAfter is what happens after err; an error that does not say is permanent, for nothing may be repeated blindly.
func NextAfter(err error) What {
	var told *Error
	if errors.As(err, &told) {
		return told.Next
	}
	return NeverMind
}
