// Package runbook reads, checks and chooses runbooks: conditions in CEL, triggers in PromQL, and which policy and
// runbooks answer a cause.
//
// It is for plain data: everything here is a function of its arguments. It is not for carrying steps out (package act)
// nor for deciding whether they may be carried out (package decide).
package runbook
