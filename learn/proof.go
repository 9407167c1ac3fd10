package learn

import (
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// ProofFrom is what an ended drill showed: one proof for each of its faults, whatever the verdict, about the service
// that was healed, or was to be, which need not be the one that the fault hit, and the runbook that ran; where none ran,
// the runbook that was expected. A drill without faults, or
// one about no runbook at all, proves nothing about a runbook.
//
// docs are the documents at the verdict, and drill.Versions what VersionsAt said when it began. A document that is not
// among either, or that was changed while the drill went on, has no version, so that the proof holds for none: nobody
// knows which of the two was tried.
func ProofFrom(drill jenner.Drill, docs *jenner.Documents) []jenner.Proof {
	name := drill.Result.Runbook
	if name == "" {
		name = drill.Experiment.Expect.Runbook
	}
	if name == "" {
		return nil
	}
	healed, cause := healedBy(drill), drill.Result.Cause
	if cause == "" {
		cause = drill.Experiment.Expect.Cause
	}
	versions := map[string]string{jenner.VersionExperiment: jenner.Hash(drill.Experiment)}
	keep := func(key, place, version string) {
		was, had := drill.Versions[place]
		if version != "" && (drill.Versions == nil || had && was == version) {
			versions[key] = version
		}
	}
	if service, known := docs.Service(healed); known {
		keep(jenner.VersionService, placeOfService(healed), jenner.Hash(service))
		keep(jenner.VersionSignature, placeOfCause(healed, cause), SignatureVersion(docs, service, cause))
	}
	if runbook, known := docs.Runbook(name); known {
		keep(jenner.VersionRunbook, placeOfRunbook(name), jenner.Hash(runbook))
	}
	var proofs []jenner.Proof
	for _, fault := range drill.Injected {
		proofs = append(proofs, jenner.Proof{
			Fault: fault.Fault, Service: healed, Runbook: name, Cause: cause, Verdict: drill.Result.Verdict,
			At: drill.EndedAt, Drill: drill.ID, Experiment: drill.Experiment.Name, Versions: versions,
		})
	}
	return proofs
}

// healedBy is the service that was healed, or was to be.
func healedBy(drill jenner.Drill) string {
	for _, name := range []string{drill.Result.Target, drill.Experiment.Expect.Target} {
		if name != "" {
			return name
		}
	}
	return drill.Experiment.Service
}

// VersionsAt are the versions of all documents that a drill may turn out to be about: the services named, and what the
// policies that pick one of them name, the runbooks and the signatures of the cause. It is taken when a drill begins.
func VersionsAt(docs *jenner.Documents, services []string) map[string]string {
	versions := map[string]string{}
	for _, name := range services {
		service, known := docs.Service(name)
		if !known {
			continue
		}
		versions[placeOfService(name)] = jenner.Hash(service)
		for _, policy := range docs.Policies {
			if !policy.Services.Picks(service) {
				continue
			}
			if version := SignatureVersion(docs, service, policy.IncidentType); version != "" {
				versions[placeOfCause(name, policy.IncidentType)] = version
			}
			for _, book := range policy.Runbooks {
				if runbook, known := docs.Runbook(book); known {
					versions[placeOfRunbook(book)] = jenner.Hash(runbook)
				}
			}
		}
	}
	return versions
}

func placeOfService(name string) string { return "service " + name }
func placeOfRunbook(name string) string { return "runbook " + name }
func placeOfCause(service string, cause jenner.Cause) string {
	return "cause " + string(cause) + " of " + service
}

// SignatureVersion is the hash of all signatures by which a cause is known on a service; empty where there is none, as for
// a runbook whose trigger is the evidence. Their order in the files does not matter.
func SignatureVersion(docs *jenner.Documents, service jenner.Service, cause jenner.Cause) string {
	var hashes []string
	for _, signature := range docs.Signatures {
		if signature.Cause == cause && signature.Services.Picks(service) {
			hashes = append(hashes, jenner.Hash(signature))
		}
	}
	if len(hashes) == 0 {
		return ""
	}
	slices.Sort(hashes)
	return jenner.Hash(hashes)
}

// VersionsNow are the versions of what a proof of a runbook on a service for a cause is about, as the documents stand, but
// for the experiment: which one that is, each proof says itself.
func VersionsNow(docs *jenner.Documents, service jenner.Service, book jenner.Runbook, cause jenner.Cause) map[string]string {
	versions := map[string]string{jenner.VersionService: jenner.Hash(service), jenner.VersionRunbook: jenner.Hash(book)}
	if version := SignatureVersion(docs, service, cause); version != "" {
		versions[jenner.VersionSignature] = version
	}
	return versions
}

// Stale says why a proof does not count any more under the documents as they stand; nothing where it counts. With most 0
// it may be of any age. It is jenner.Proof.Stale with the versions looked up, and so it says what the guard says.
func Stale(proof jenner.Proof, docs *jenner.Documents, now time.Time, most time.Duration) string {
	service, _ := docs.Service(proof.Service)
	book, _ := docs.Runbook(proof.Runbook)
	versions := VersionsNow(docs, service, book, proof.Cause)
	for _, experiment := range docs.Experiments {
		if experiment.Name == proof.Experiment {
			versions[jenner.VersionExperiment] = jenner.Hash(experiment)
		}
	}
	return proof.Stale(now, most, versions)
}
