package jenner

import (
	"slices"
	"strings"
	"time"
)

// The keys of Proof.Versions.
const (
	VersionExperiment = "experiment" // the experiment's document
	VersionService    = "service"    // that of the service that was healed
	VersionRunbook    = "runbook"    // that of the runbook that ran
	VersionSignature  = "signature"  // all signatures by which the cause is known on that service; not there where there is none
)

// versionKeys are in the order in which people are told what has changed.
var versionKeys = []string{VersionExperiment, VersionService, VersionSignature, VersionRunbook}

// Changed names what is not any more as it was when the proof was made, by the keys of Proof.Versions. versions are the
// hashes of the documents as they stand now, under the same keys. What is missing on one side has changed too; and of a
// proof that does not say what it is about, everything has.
func (p Proof) Changed(versions map[string]string) []string {
	if len(p.Versions) == 0 {
		return []string{"everything"}
	}
	keys := slices.Clone(versionKeys)
	for _, side := range []map[string]string{p.Versions, versions} {
		for key := range side {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys[len(versionKeys):])
	return slices.DeleteFunc(keys, func(key string) bool {
		was, had := p.Versions[key]
		is, has := versions[key]
		return had == has && was == is
	})
}

// Stale says why a proof does not count any more: it is as old as most, or something has changed since. It is empty for a
// proof that counts. With most 0 a proof may be of any age. Everybody who asks whether a proof is fresh asks here, so that
// a guard and a report never disagree.
func (p Proof) Stale(now time.Time, most time.Duration, versions map[string]string) string {
	if changed := p.Changed(versions); len(changed) > 0 {
		verb := "has"
		if len(changed) > 1 {
			verb = "have"
		}
		return strings.Join(changed, " and ") + " " + verb + " changed since drill " + p.Drill
	}
	if age := now.Sub(p.At); most > 0 && age >= most {
		return "drill " + p.Drill + " was " + Duration(coarsely(age)).String() + " ago"
	}
	return ""
}

// coarsely rounds down, to days, minutes or seconds: what is as old as is asked never reads as younger.
func coarsely(age time.Duration) time.Duration {
	switch {
	case age >= 48*time.Hour:
		return age.Truncate(24 * time.Hour)
	case age >= 2*time.Minute:
		return age.Truncate(time.Minute)
	}
	return age.Truncate(time.Second)
}

// Refutes tells whether the verdict takes earlier proofs of the same runbook on the same service back: it did harm, or it
// did not help. A drill that was broken off, or that showed nothing, takes nothing back.
func (p Proof) Refutes() bool {
	return p.Verdict == VerdictHarmful || p.Verdict == VerdictNotRemediated
}
