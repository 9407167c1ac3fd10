package decide

import (
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
)

// neverAutomatic are the causes that only people handle: each is one where a machine's quick repair destroys what is
// needed, evidence or data.
var neverAutomatic = []string{"data-corruption", "security-incident", "unknown-cascade", "transactions-in-flight"}

// tier refuses causes that are never healed by a machine, whatever the policy says. Spelling does not help around it:
// DATA_CORRUPTION is data-corruption.
func tier(in Input) jenner.GuardResult {
	for _, cause := range []jenner.Cause{in.Cause.Cause, in.Policy.IncidentType} {
		if slices.Contains(neverAutomatic, plainly(cause)) {
			return refuse(numbers{"cause": string(cause)}, "%s is never healed automatically", cause)
		}
	}
	return agree(numbers{"cause": string(in.Cause.Cause)}, "%s may be healed automatically", in.Cause.Cause)
}

func plainly(cause jenner.Cause) string {
	return strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(strings.TrimSpace(string(cause))))
}
