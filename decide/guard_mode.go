package decide

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
)

// mode holds to what the policy may do by itself: shadow refuses and says what would have been done, recommend tells a
// person, approve asks one, auto acts. What the files say for the service's environment is the ceiling. Where the policy
// has to earn its mode, the shyer of the ceiling and the rung that it stands on is in force. A mode that nobody knows
// refuses.
func mode(in Input) jenner.GuardResult {
	ceiling := in.Policy.ModeFor(in.Service.Environment)
	inForce, label := ceiling, string(ceiling)
	saw := numbers{"mode": string(ceiling), "ceiling": string(ceiling)}
	if in.Policy.Promotion != nil {
		level := cmp.Or(in.Standing.Level, in.Policy.Promotion.Start, jenner.ModeShadow)
		saw["level"] = string(level)
		if len(in.Standing.Missing) > 0 {
			saw["next"], saw["missing"] = string(in.Standing.Next), strings.Join(in.Standing.Missing, "; ")
		}
		if !slices.Contains(jenner.Modes, level) {
			return unknownMode(saw, level)
		}
		if level.Boldness() < ceiling.Boldness() {
			inForce, label = level, string(level)+" (earned so far; "+string(ceiling)+" at most)"
			saw["mode"] = string(level)
		}
	}
	would := "would run " + in.Runbook.Name + " on " + in.Target.String()
	switch inForce {
	case jenner.ModeShadow:
		return refuse(saw, "%s: %s", label, would)
	case jenner.ModeRecommend:
		return recommend(saw, "%s: %s", label, would)
	case jenner.ModeApprove:
		return leave(saw, "%s: %s once a person agrees", label, would)
	case jenner.ModeAuto:
		return agree(saw, "%s", label)
	}
	return unknownMode(saw, inForce)
}

func unknownMode(saw numbers, mode jenner.Mode) jenner.GuardResult {
	return refuse(saw, "mode %q is not known; write shadow, recommend, approve or auto", mode)
}
