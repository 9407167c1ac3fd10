// Package config reads the files people write: services, signatures, runbooks, policies, experiments, channels, teams,
// calendars and limits.
//
// It is strict. A broken file refuses everything, every mistake is told at once as `file:line: message`, and nothing
// falls back to a default in silence. It is not for knowing what a provider can do: names and parameters are asked of
// the Names it is given. Nor does it read what a calendar says: only that there is one.
package config
