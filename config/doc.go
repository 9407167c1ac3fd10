// Package config reads the files people write: services, signatures, runbooks, policies, experiments and channels.
//
// It is strict. A broken file refuses everything, every mistake is told at once as `file:line: message`, and nothing
// falls back to a default in silence. It is not for knowing what a provider can do: names and parameters are asked of
// the Names it is given.
package config
