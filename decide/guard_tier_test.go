package decide

import (
	"testing"

	"github.com/jenner-heal/jenner"
)

func TestTierOfThePolicy(t *testing.T) {
	says := func(automation jenner.Automation, cause jenner.Cause) Input {
		return crashedBut(func(in *Input) { in.Policy.Automation, in.Cause.Cause = automation, cause })
	}
	check(t, tier, []said{
		{"safe", says("safe", "crashed"), jenner.DecideAct, "crashed may be healed automatically", 0, numbers{"cause": "crashed", "automation": "safe"}},
		{"human", says("human", "crashed"), jenner.DecideAsk,
			"crashed is healed only with a person's word, each time: the policy says automation: human", 0, nil},
		{"never", says("never", "crashed"), jenner.DecideRefuse, "crashed is never healed automatically: the policy says automation: never", 0, nil},
		{"a word nobody knows", says("Safe", "crashed"), jenner.DecideRefuse, `automation "Safe" is not known; write safe, human or never`, 0, nil},
		{"no policy allows it", says("safe", "DATA_CORRUPTION"), jenner.DecideRefuse, "DATA_CORRUPTION is never healed automatically", 0,
			numbers{"cause": "DATA_CORRUPTION"}},
		{"nor does a person's word", says("human", "security incident"), jenner.DecideRefuse, "security incident is never healed automatically", 0, nil},
	})
}

func TestNeverAutomaticIsNotForApprovalEither(t *testing.T) {
	in := approvable(func(in *Input) { in.Cause.Cause = "unknown-cascade" }, yes("ann"))
	if got := Decide(in); got.Outcome != jenner.DecideRefuse || got.Stopper().Guard != "tier" {
		t.Errorf("approved, and decided %s by %s; want refuse by tier", got.Outcome, got.Stopper().Guard)
	}
}
