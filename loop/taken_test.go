package loop_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/detect"
)

// sender is a Prometheus that has Jenner among its Alertmanagers: what it says of one alert is believed for a minute.
type sender struct {
	*machine
	receiver jenner.Receiver
	taker    *detect.Taker
	of       *program
	began    time.Time
	over     bool // the program has ended
}

// sent is a scene about which only an alert from elsewhere tells that anything is wrong.
func sent(t *testing.T, mode jenner.Mode) *sender {
	t.Helper()
	policy := jenner.Policy{Name: "said", IncidentType: "said", Runbooks: []string{"restart"}, Mode: mode, ConfidenceThreshold: 0.9,
		StableFor: jenner.Duration(time.Second), VerificationWindow: jenner.Duration(30 * time.Second)}
	receiver := jenner.Receiver{Name: "prom", From: jenner.FromPrometheus, ResendEvery: jenner.Duration(time.Minute)}
	m := scene(t, &jenner.Documents{}, jenner.Documents{Policies: []jenner.Policy{policy},
		Signatures: []jenner.Signature{{Name: "said", Cause: "said", Evidence: []jenner.EvidencePattern{{Alert: "Said"}}}},
		Runbooks:   []jenner.Runbook{{Name: "restart", Steps: []jenner.Step{step("again", "restart", nil)}}}})
	m.docs.Receivers = []jenner.Receiver{receiver}
	m.boot()
	time.Sleep(time.Second)
	return &sender{machine: m, receiver: receiver, began: time.Now()}
}

// says tells of the alert, which fires or does so no more.
func (s *sender) says(t *testing.T, status jenner.AlertStatus) {
	t.Helper()
	s.saysOf(t, "Said", status)
}

// saysOf tells of an alert of that name. One called Dull is for the morning.
func (s *sender) saysOf(t *testing.T, name string, status jenner.AlertStatus) {
	t.Helper()
	if s.of != s.program { // Jenner was started anew
		s.of = s.program
		s.taker = detect.NewTaker(s.program.loop.Board, time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err := s.taker.Set(s.docs); err != nil {
			t.Fatal(err)
		}
	}
	alert := jenner.SentAlert{Labels: map[string]string{"alertname": name, "service": "checkout"}, Status: status, StartsAt: s.began,
		Until: time.Now().Add(time.Minute)}
	if name == "Dull" {
		alert.Labels["severity"] = "info"
	}
	if status == jenner.Resolved {
		alert.Until, alert.EndsAt = time.Time{}, time.Now()
	}
	s.taker.Take(s.receiver, []jenner.SentAlert{alert}, false)
}

func (s *sender) acted(t *testing.T, when string, want int) {
	t.Helper()
	if got := s.restarts(); got != want {
		t.Fatalf("%s something was done %d times, want %d\n%s", when, got, want, s.told())
	}
}

// shut ends the program, once.
func (s *sender) shut() {
	if !s.over {
		s.program.shut()
	}
	s.over = true
}

// endsAs ends the program and wants to see how all ended.
func (s *sender) endsAs(t *testing.T, want string) {
	t.Helper()
	s.shut()
	if got := s.ended(); !strings.Contains(got, want) {
		t.Fatalf("it ended as\n%s\nwant %q\n%s", got, want, s.told())
	}
}

func TestATakenAlertIsHealedAndItsEndIsItsSendersWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sent(t, jenner.ModeAuto)
		defer s.shut()
		s.says(t, jenner.Firing)
		time.Sleep(10 * time.Second)
		s.acted(t, "when it fires", 1)
		s.says(t, jenner.Resolved)
		time.Sleep(5 * time.Second)
		s.endsAs(t, "incident checkout resolved: restart healed it; verified")
	})
}

// TestWhatIsForTheMorningHidesNothing: a person has a ticket about something that stays as it is, such as a certificate that
// expires soon. What comes then and wakes people is looked at all the same, and healed, though the first alert fires on. Who
// was woken has all that comes.
func TestWhatIsForTheMorningHidesNothing(t *testing.T) {
	for _, c := range []struct {
		first, then string
		acts        int
	}{{"Dull", "Said", 1}, {"Other", "Said", 0}} {
		t.Run(c.first+" and then "+c.then, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sent(t, jenner.ModeAuto)
				defer s.shut()
				s.saysOf(t, c.first, jenner.Firing)
				time.Sleep(40 * time.Second)
				s.says(t, jenner.Firing)
				time.Sleep(10 * time.Second)
				s.acted(t, "when it fires beside "+c.first, c.acts)
				if c.acts > 0 {
					s.says(t, jenner.Resolved)
					time.Sleep(5 * time.Second)
					s.endsAs(t, "incident checkout resolved: restart healed it; verified")
				}
			})
		})
	}
}

// TestWhoeverVouchesLooks: where nothing of ours sees the service, an alert that is vouched for is as good as a look, also
// where it was last said a while ago.
func TestWhoeverVouchesLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sent(t, jenner.ModeAuto)
		defer s.shut()
		s.see(false)
		s.stop("ann")
		s.says(t, jenner.Firing)
		time.Sleep(50 * time.Second) // longer than an observation of our own is believed
		s.acted(t, "while ann holds it", 0)
		s.resume()
		time.Sleep(5 * time.Second)
		s.acted(t, "when ann lets go", 1)
	})
}

// TestL8ASilentSenderIsNeitherAReasonToActNorHealth: it fell silent while people were asked, and they agree too late.
func TestL8ASilentSenderIsNeitherAReasonToActNorHealth(t *testing.T) {
	t.Parallel()
	t.Run("before anything is done", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := sent(t, jenner.ModeApprove)
			defer s.shut()
			s.says(t, jenner.Firing)
			time.Sleep(time.Minute)
			if err := s.vote("ann", true, ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			s.acted(t, "after its sender fell silent", 0)
			time.Sleep(20 * time.Second)
			s.endsAs(t, "incident checkout escalated: nobody says any more whether alert Said still fires: prom was last heard of it at")
		})
	})
	t.Run("while it is heard of, people are waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := sent(t, jenner.ModeApprove)
			defer s.shut()
			for range 5 {
				s.says(t, jenner.Firing)
				time.Sleep(50 * time.Second)
			}
			if err := s.vote("ann", true, ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			s.acted(t, "when they agree", 1)
		})
	})
	t.Run("after something was done", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := sent(t, jenner.ModeAuto)
			defer s.shut()
			s.says(t, jenner.Firing)
			time.Sleep(2 * time.Minute)
			s.acted(t, "when it fires", 1)
			s.shut()
			if got := s.ended(); strings.Contains(got, "resolved") {
				t.Errorf("silence was taken for health:\n%s", got)
			}
		})
	})
}

// TestAnAlertOfBeforeARestartWaitsForItsSender: what was said to the last process may not hold any more, and the next word
// may take as long as the sender takes.
func TestAnAlertOfBeforeARestartWaitsForItsSender(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]jenner.AlertStatus{"it fires on": jenner.Firing, "it is over": jenner.Resolved, "it says nothing": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sent(t, jenner.ModeAuto)
				defer s.shut()
				s.stop("ann")
				s.says(t, jenner.Firing)
				time.Sleep(5 * time.Second)
				s.program.shut()
				s.boot()
				s.resume()
				time.Sleep(50 * time.Second)
				s.acted(t, "before its sender said anything", 0)
				if status != "" {
					s.says(t, status)
				}
				time.Sleep(40 * time.Second)
				switch status {
				case jenner.Firing:
					s.acted(t, "when it fires on", 1)
				case jenner.Resolved:
					s.acted(t, "when it is over", 0)
					s.endsAs(t, "incident checkout resolved: the alerts cleared by themselves; nothing was done")
				default:
					s.acted(t, "when nobody says anything", 0)
					s.endsAs(t, "incident checkout escalated: nobody says any more")
				}
			})
		})
	}
}

// TestL1ItIsAskedRightBeforeSomethingIsDone: what the sender's Alertmanager has no more is not acted upon, and what it cannot
// say neither.
func TestL1ItIsAskedRightBeforeSomethingIsDone(t *testing.T) {
	for name, answer := range map[string]struct {
		says  func(t *testing.T, s *sender)
		acted int
	}{
		"it fires":        {func(*testing.T, *sender) {}, 1},
		"it is over":      {func(t *testing.T, s *sender) { s.says(t, jenner.Resolved) }, 0},
		"nobody can tell": {func(_ *testing.T, s *sender) { s.doubt() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sent(t, jenner.ModeAuto)
				defer s.shut()
				var asked atomic.Int32
				s.program.loop.Confirm = func(context.Context, []jenner.Alert) bool {
					asked.Add(1)
					answer.says(t, s)
					return true
				}
				s.says(t, jenner.Firing)
				time.Sleep(10 * time.Second)
				s.acted(t, name, answer.acted)
				if asked.Load() == 0 {
					t.Error("nobody was asked")
				}
			})
		})
	}
}

// doubt makes the alert one that nobody vouches for.
func (s *sender) doubt() {
	for _, alert := range s.program.loop.Board.AllFiring() {
		alert.ValidUntil = time.Now()
		s.program.loop.Board.Put(alert)
	}
}
