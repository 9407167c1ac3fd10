// Package jenner is the vocabulary of Jenner: the words that every other package talks in.
//
// It is for plain data: services, targets, signals, alerts, incidents, diagnoses, policies, runbooks, decisions, runs,
// verifications, experiments, verdicts, and the records that keep them. It is not for behaviour: nothing here reads a
// clock, a file or a network, and nothing here imports more than the standard library.
//
// Values are passed by copy and are not changed after they were handed on; where a type holds a map or a slice, the
// receiver treats it as read-only. No type of this package is safe for concurrent change.
package jenner
