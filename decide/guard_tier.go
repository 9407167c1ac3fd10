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
// DATA_CORRUPTION is data-corruption. For all others the policy's tier holds: safe agrees, human asks each time, never
// refuses, and so does a word that nobody knows.
func tier(in Input) jenner.GuardResult {
	saw := numbers{"cause": string(in.Cause.Cause), "automation": string(in.Policy.Automation)}
	for _, cause := range []jenner.Cause{in.Cause.Cause, in.Policy.IncidentType} {
		if slices.Contains(neverAutomatic, plainly(cause)) {
			saw["cause"] = string(cause)
			return refuse(saw, "%s is never healed automatically", cause)
		}
	}
	switch in.Policy.Automation {
	case jenner.AutomationSafe, "":
		return agree(saw, "%s may be healed automatically", in.Cause.Cause)
	case jenner.AutomationHuman:
		return leave(saw, "%s is healed only with a person's word, each time: the policy says automation: human", in.Cause.Cause)
	case jenner.AutomationNever:
		return refuse(saw, "%s is never healed automatically: the policy says automation: never", in.Cause.Cause)
	}
	return refuse(saw, "automation %q is not known; write safe, human or never", in.Policy.Automation)
}

func plainly(cause jenner.Cause) string {
	return strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(strings.TrimSpace(string(cause))))
}
