package decide

import (
	"testing"

	"github.com/jenner-heal/jenner"
)

func TestModeByEnvironment(t *testing.T) {
	in := func(environment string) Input {
		return crashedBut(func(in *Input) {
			in.Service.Environment = environment
			in.Policy.Modes = map[string]jenner.Mode{"production": jenner.ModeApprove, "lab": "Auto"}
		})
	}
	check(t, mode, []said{
		{"written", in("production"), jenner.DecideAsk, "approve: would run restart on process/checkout once a person agrees", 0,
			numbers{"mode": "approve", "ceiling": "approve"}},
		{"not written", in("staging"), jenner.DecideAct, "auto", 0, nil},
		{"misspelt", in("lab"), jenner.DecideRefuse, `mode "Auto" is not known; write shadow, recommend, approve or auto`, 0, nil},
	})
}

func TestModeIsEarned(t *testing.T) {
	stands := func(ceiling, level, start jenner.Mode) Input {
		return crashedBut(func(in *Input) {
			in.Policy.Mode, in.Policy.Promotion, in.Standing.Level = ceiling, &jenner.Promotion{Start: start}, level
		})
	}
	lacking := stands("auto", "approve", "")
	lacking.Standing.Next, lacking.Standing.Missing = "auto", []string{"2 of 3 PROVEN drills", "1 of 20 decisions"}
	unearned := stands("auto", "", "")
	unearned.Policy.Promotion = nil
	unearned.Standing.Level = "shadow"
	check(t, mode, []said{
		{"below the ceiling", lacking, jenner.DecideAsk,
			"approve (earned so far; auto at most): would run restart on process/checkout once a person agrees", 0,
			numbers{"mode": "approve", "ceiling": "auto", "level": "approve", "next": "auto", "missing": "2 of 3 PROVEN drills; 1 of 20 decisions"}},
		{"at the ceiling", stands("auto", "auto", ""), jenner.DecideAct, "auto", 0, numbers{"mode": "auto", "level": "auto"}},
		{"the ceiling holds", stands("recommend", "auto", ""), jenner.DecideRecommend, "recommend: would run restart on process/checkout", 0,
			numbers{"mode": "recommend", "ceiling": "recommend", "level": "auto"}},
		{"nothing is known of where it stands", stands("auto", "", "recommend"), jenner.DecideRecommend,
			"recommend (earned so far; auto at most): would run restart on process/checkout", 0, nil},
		{"nor of where it starts", stands("auto", "", ""), jenner.DecideRefuse,
			"shadow (earned so far; auto at most): would run restart on process/checkout", 0, numbers{"mode": "shadow"}},
		{"a rung nobody knows", stands("auto", "expert", ""), jenner.DecideRefuse,
			`mode "expert" is not known; write shadow, recommend, approve or auto`, 0, nil},
		{"a ceiling nobody knows", stands("Auto", "auto", ""), jenner.DecideRefuse,
			`mode "Auto" is not known; write shadow, recommend, approve or auto`, 0, nil},
		{"without promotion the files alone say it", unearned, jenner.DecideAct, "auto", 0, nil},
	})
}
