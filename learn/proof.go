package learn

import "github.com/jenner-heal/jenner"

// The keys of Proof.Versions.
const (
	VersionExperiment = "experiment"
	VersionService    = "service"
	VersionRunbook    = "runbook"
)

// ProofFrom is what an ended drill showed: one proof for each of its faults, whatever the verdict, about the service
// that was healed, or was to be, which need not be the one that the fault hit, and the runbook that ran; where none ran,
// the runbook that was expected. A drill without faults, or
// one about no runbook at all, proves nothing about a runbook.
//
// docs are the documents that the drill ran under. A service or a runbook that is not among them has no version, so that
// the proof holds for none.
func ProofFrom(drill jenner.Drill, docs *jenner.Documents) []jenner.Proof {
	name := drill.Result.Runbook
	if name == "" {
		name = drill.Experiment.Expect.Runbook
	}
	if name == "" {
		return nil
	}
	healed := drill.Result.Target
	if healed == "" {
		healed = drill.Experiment.Expect.Target
	}
	if healed == "" {
		healed = drill.Experiment.Service
	}
	var proofs []jenner.Proof
	for _, fault := range drill.Injected {
		versions := map[string]string{VersionExperiment: jenner.Hash(drill.Experiment)}
		if service, known := docs.Service(healed); known {
			versions[VersionService] = jenner.Hash(service)
		}
		if runbook, known := docs.Runbook(name); known {
			versions[VersionRunbook] = jenner.Hash(runbook)
		}
		proofs = append(proofs, jenner.Proof{
			Fault: fault.Fault, Service: healed, Runbook: name, Verdict: drill.Result.Verdict,
			At: drill.EndedAt, Drill: drill.ID, Experiment: drill.Experiment.Name, Versions: versions,
		})
	}
	return proofs
}
