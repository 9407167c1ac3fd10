package decide

import "github.com/jenner-heal/jenner"

// mode holds to what the policy may do by itself: shadow refuses and says what would have been done, recommend tells a
// person, approve asks one, auto acts. A mode that nobody knows refuses.
func mode(in Input) jenner.GuardResult {
	written := in.Policy.EffectiveMode()
	saw := numbers{"mode": string(written)}
	would := "would run " + in.Runbook.Name + " on " + in.Target.String()
	switch written {
	case jenner.ModeShadow:
		return refuse(saw, "shadow: %s", would)
	case jenner.ModeRecommend:
		return answer(jenner.DecideRecommend, saw, "recommend: %s", []any{would})
	case jenner.ModeApprove:
		return answer(jenner.DecideAsk, saw, "approve: %s once a person agrees", []any{would})
	case jenner.ModeAuto:
		return agree(saw, "auto")
	}
	return refuse(saw, "mode %q is not known; write shadow, recommend, approve or auto", written)
}
