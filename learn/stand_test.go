package learn_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

var begun = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// life is a policy that goes through something. Each decision is made on the rung stood on at that time, as real ones
// are, a minute after what was before.
type life struct{ learn.Evidence }

func born(policy jenner.Policy) *life {
	return &life{Evidence: learn.Evidence{
		Policy:  policy,
		Service: jenner.Service{Name: "checkout", Environment: "production"},
		Runbook: jenner.Runbook{Name: "restart", Steps: []jenner.Step{{Name: "again", Action: "restart"}}},
		Now:     begun,
	}}
}

func (l *life) judgement(mode jenner.Mode, right jenner.Rightness) jenner.Judgement {
	return jenner.Judgement{At: l.Now, Incident: fmt.Sprintf("i%d", len(l.Judgements)+1), Policy: l.Policy.Name, Service: l.Service.Name,
		Runbook: l.Runbook.Name, Version: jenner.Hash(l.Runbook), Mode: mode, Right: right}
}

func (l *life) judge(right jenner.Rightness, failed bool) {
	l.Now = l.Now.Add(time.Minute)
	one := l.judgement(learn.Stand(l.Evidence).Level, right)
	one.Failed = failed
	l.Judgements = append(l.Judgements, one)
}

func (l *life) drill(verdict jenner.Verdict) {
	l.Now = l.Now.Add(time.Minute)
	drill := fmt.Sprintf("d%d", len(l.Proofs)+1)
	l.Proofs = append(l.Proofs, l.proof(drill, verdict))
}

func (l *life) proof(drill string, verdict jenner.Verdict) jenner.Proof {
	return jenner.Proof{Fault: "process.kill", Service: l.Service.Name, Runbook: l.Runbook.Name, Verdict: verdict, At: l.Now, Drill: drill,
		Versions: map[string]string{jenner.VersionRunbook: jenner.Hash(l.Runbook)}}
}

// do does what a line of a story says: `20 right`, `1 failed`, `3 drills PROVEN`, `wait 41d`, `edit the runbook as v2`,
// `allow recommend`.
func (l *life) do(t *testing.T, said string) {
	t.Helper()
	words := strings.Fields(said)
	switch {
	case words[0] == "wait":
		var d jenner.Duration
		if err := d.UnmarshalText([]byte(words[1])); err != nil {
			t.Fatal(err)
		}
		l.Now = l.Now.Add(d.Std())
		return
	case words[0] == "edit":
		l.Runbook.Description = words[len(words)-1]
		return
	case words[0] == "allow":
		l.Policy.Mode = jenner.Mode(words[1])
		return
	}
	times, err := strconv.Atoi(words[0])
	if err != nil {
		t.Fatalf("%q: a line begins with wait, edit, allow or a number", said)
	}
	for range times {
		switch words[1] {
		case "right", "wrong", "unknown":
			l.judge(jenner.Rightness(words[1]), false)
		case "failed":
			l.judge(jenner.WrongDecision, true)
		case "drill", "drills":
			l.drill(jenner.Verdict(words[2]))
		default:
			t.Fatalf("%q: nobody knows %q", said, words[1])
		}
	}
}

// told is a standing as the stories have it.
func told(s jenner.Standing) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s of %s", s.Level, s.Ceiling)
	if !s.Since.IsZero() {
		fmt.Fprintf(&out, " since %s", s.Since.Format("Jan 2 15:04"))
	}
	fmt.Fprintf(&out, "; %d right, %d wrong, %d unknown, bound %.2f, %d proven\n", s.Right, s.Wrong, s.Unknown, s.Bound, s.Proven)
	if s.LastChange != "" {
		fmt.Fprintf(&out, "  %s\n", s.LastChange)
	}
	if s.Next != "" {
		fmt.Fprintf(&out, "  for %s: %s\n", s.Next, strings.Join(s.Missing, ", "))
	}
	return out.String()
}

// TestStories: testdata/ladder/*.txtar are lives of policies. After each line of one stands where the policy is then.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/ladder/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var policy jenner.Policy
			if err := json.Unmarshal(archive.Files[0].Data, &policy); err != nil {
				t.Fatal(err)
			}
			story := string(archive.Files[1].Data)
			l, got := born(policy), strings.Builder{}
			for line := range strings.Lines(story) {
				if said, is := strings.CutPrefix(strings.TrimSpace(line), "> "); is {
					if said != "begin" {
						l.do(t, said)
					}
					got.WriteString("> " + said + "\n" + told(learn.Stand(l.Evidence)))
				}
			}
			if diff := cmp.Diff(strings.Split(story, "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("it went another way (- story, + here):\n%s\nin whole:\n%s", diff, got.String())
			}
		})
	}
}

func TestWithoutPromotionTheFilesSayIt(t *testing.T) {
	l := born(jenner.Policy{Name: "p", Mode: jenner.ModeApprove, Modes: map[string]jenner.Mode{"production": jenner.ModeRecommend}})
	l.drill(jenner.VerdictHarmful)
	l.judge(jenner.WrongDecision, true)
	want := jenner.Standing{Policy: "p", Service: "checkout", Runbook: "restart", Level: jenner.ModeRecommend, Ceiling: jenner.ModeRecommend}
	if diff := cmp.Diff(want, learn.Stand(l.Evidence)); diff != "" {
		t.Error(diff)
	}
	l.Service.Environment = "staging"
	if got := learn.Stand(l.Evidence); got.Level != jenner.ModeApprove || got.FromHistory {
		t.Errorf("in staging it is %+v", got)
	}
}

// TestOnlyWhatIsMeantCounts: one field of the evidence is another one's, and the evidence counts no more.
func TestOnlyWhatIsMeantCounts(t *testing.T) {
	policy := jenner.Policy{Name: "p", Mode: jenner.ModeAuto, Promotion: &jenner.Promotion{Decisions: 1, Success: 0.1, Proven: 1}}
	judged := map[string]func(*jenner.Judgement){
		"of another policy":  func(j *jenner.Judgement) { j.Policy = "q" },
		"of another service": func(j *jenner.Judgement) { j.Service = "payments" },
		"of another runbook": func(j *jenner.Judgement) { j.Runbook = "failover" },
		"of another version": func(j *jenner.Judgement) { j.Version = "0" },
		"without a version":  func(j *jenner.Judgement) { j.Version = "" },
		"of another rung":    func(j *jenner.Judgement) { j.Mode = jenner.ModeApprove },
		"of no known mode":   func(j *jenner.Judgement) { j.Mode = "bold" },
		"from the future":    func(j *jenner.Judgement) { j.At = begun.Add(time.Hour) },
		"not scored":         func(j *jenner.Judgement) { j.Right = "perhaps" },
	}
	for name, spoil := range judged {
		l := born(policy)
		l.judge(jenner.RightDecision, false)
		if got := learn.Stand(l.Evidence); got.Level != jenner.ModeRecommend {
			t.Fatalf("a right decision leaves it on %s", got.Level)
		}
		spoil(&l.Judgements[0])
		if got := learn.Stand(l.Evidence); got.Level != jenner.ModeShadow || got.Right != 0 ||
			(got.LastChange != "") != (name == "of another version") {
			t.Errorf("a judgement %s counts: %+v", name, got)
		}
	}
	for name, spoil := range map[string]func(*jenner.Proof){
		"about another service":    func(p *jenner.Proof) { p.Service = "payments" },
		"about another runbook":    func(p *jenner.Proof) { p.Runbook = "failover" },
		"about another version":    func(p *jenner.Proof) { p.Versions = map[string]string{jenner.VersionRunbook: "0"} },
		"about no version":         func(p *jenner.Proof) { p.Versions = nil },
		"with only a slow verdict": func(p *jenner.Proof) { p.Verdict = jenner.VerdictProvenSlow },
		"from the future":          func(p *jenner.Proof) { p.At = begun.Add(time.Hour) },
	} {
		l := born(policy)
		l.drill(jenner.VerdictProven)
		if got := learn.Stand(l.Evidence); got.Proven != 1 {
			t.Fatalf("a proof counts %d times", got.Proven)
		}
		spoil(&l.Proofs[0])
		if got := learn.Stand(l.Evidence); got.Proven != 0 || !got.LastProven.IsZero() {
			t.Errorf("a proof %s counts: %+v", name, got)
		}
	}
}

// TestAtTheSameMoment: what happened at one moment has one order, whatever the clocks' zones, and the bad comes last.
func TestAtTheSameMoment(t *testing.T) {
	for failedOn, why := range map[jenner.Mode]string{
		jenner.ModeApprove: "fell from recommend to shadow: a verification failed (b)", // the second rung that was lost
		jenner.ModeShadow:  "fell from recommend to shadow: a verification failed (a)", // where no second one was left
	} {
		l := born(jenner.Policy{Name: "p", Mode: jenner.ModeAuto, Promotion: &jenner.Promotion{Decisions: 1, Success: 0.1}})
		add := func(incident string, mode jenner.Mode, right jenner.Rightness, failed bool) {
			one := l.judgement(mode, right)
			one.Incident, one.Failed = incident, failed
			one.At = one.At.In(time.FixedZone(incident, 60*len(l.Judgements)))
			l.Judgements = append(l.Judgements, one)
		}
		add("a", failedOn, jenner.WrongDecision, true)
		add("b", failedOn, jenner.WrongDecision, true)
		add("c", jenner.ModeRecommend, jenner.RightDecision, false)
		add("d", jenner.ModeShadow, jenner.RightDecision, false)
		for range 2 {
			got := learn.Stand(l.Evidence)
			if got.Level != jenner.ModeShadow || got.Right != 0 || got.LastChange != why || got.Since.Location() != time.UTC {
				t.Errorf("after failures on %s it is %+v", failedOn, got)
			}
			slices.Reverse(l.Judgements)
		}
	}
}

// TestADrillWithSeveralFaultsIsOneDrill: it leaves a proof for each of them.
func TestADrillWithSeveralFaultsIsOneDrill(t *testing.T) {
	l := born(jenner.Policy{Name: "p", Promotion: &jenner.Promotion{}})
	for _, drill := range []string{"d1", "d1", "d2", "", ""} {
		l.Proofs = append(l.Proofs, l.proof(drill, jenner.VerdictProven))
	}
	if got := learn.Stand(l.Evidence); got.Proven != 4 {
		t.Errorf("d1 twice, d2 and two without a name are %d drills", got.Proven)
	}
}

// TestAClockSetBackHidesNoHarm: what is dated after now counts only where it speaks against the policy.
func TestAClockSetBackHidesNoHarm(t *testing.T) {
	for name, harm := range map[string]func(*life){
		"a failure": func(l *life) { l.judge(jenner.WrongDecision, true) },
		"a drill":   func(l *life) { l.drill(jenner.VerdictHarmful) },
	} {
		l := born(jenner.Policy{Name: "p", Mode: jenner.ModeAuto, Promotion: &jenner.Promotion{Decisions: 1, Success: 0.1}})
		l.judge(jenner.RightDecision, false)
		l.judge(jenner.RightDecision, false)
		before := l.Now
		l.Now = l.Now.Add(time.Hour)
		harm(l)
		l.Now = before
		if got := learn.Stand(l.Evidence); got.Level.Boldness() >= jenner.ModeApprove.Boldness() {
			t.Errorf("%s an hour ahead leaves it on %s", name, got.Level)
		}
	}
}

// TestALateFailureCostsARungWhereItWasActedOn: it was held at approve by the ceiling, though it had earned auto; the failure
// must be felt there.
func TestALateFailureCostsARungWhereItWasActedOn(t *testing.T) {
	l := born(jenner.Policy{Name: "p", Mode: jenner.ModeAuto, Promotion: &jenner.Promotion{Decisions: 1, Success: 0.1, Proven: 1}})
	l.drill(jenner.VerdictProven)
	for range 3 {
		l.judge(jenner.RightDecision, false)
	}
	if got := learn.Stand(l.Evidence); got.Level != jenner.ModeAuto {
		t.Fatalf("it stands on %s", got.Level)
	}
	l.Policy.Mode = jenner.ModeApprove
	l.judge(jenner.WrongDecision, true)
	got := learn.Stand(l.Evidence)
	if got.Level != jenner.ModeRecommend || got.LastChange != "fell from approve to recommend: a verification failed (i4)" {
		t.Errorf("after the failure it stands on %s: %s", got.Level, got.LastChange)
	}
}
