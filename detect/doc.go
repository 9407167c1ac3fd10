// Package detect notices: it turns probe states, PromQL rules, runbook triggers and numbers outside their steady bounds
// into alerts, and keeps the present alerts on a board.
//
// It is for saying that something is wrong, and since when. It is not for saying why (package diagnose), nor whether
// anything may be done about it (package decide). Missing data is never an answer here: it raises no alert, it resolves
// none, and it does not refresh the time at which an alert was last seen.
package detect
