package decide

import (
	"strconv"

	"github.com/jenner-heal/jenner"
)

// owner refuses to change behind its back what another controller owns: it would put everything back, and the two would
// fight. A step that acts through that controller agrees. What belongs to a third party is never changed.
func owner(in Input) jenner.GuardResult {
	var parts []jenner.GuardResult
	owned := 0
	for _, one := range in.Owners {
		if one.External {
			owned++
			parts = append(parts, refuse(numbers{one.Step + "_owner": "a third party"}, "%s belongs to a third party, and step %s would change it; "+
				"only people may ask that one to", one.Service+"/"+one.Target.String(), one.Step))
			continue
		}
		if one.Controller == "" {
			continue
		}
		owned++
		saw := numbers{one.Step + "_owner": one.Controller, one.Step + "_through": one.Through}
		what := one.Service + "/" + one.Target.String()
		if one.Controller == one.Through {
			parts = append(parts, agree(saw, "step %s acts through %s, which owns %s", one.Step, one.Controller, what))
			continue
		}
		parts = append(parts, refuse(saw, "%s owns %s and would put back what step %s changes; act through it (through: %s), "+
			"or let %s do it", one.Controller, what, one.Step, one.Controller, one.Controller))
	}
	if len(parts) == 0 {
		return agree(numbers{"owned": "0"}, "no other controller owns what would be changed")
	}
	whole := shyest(parts)
	whole.Numbers["owned"] = strconv.Itoa(owned)
	return whole
}
