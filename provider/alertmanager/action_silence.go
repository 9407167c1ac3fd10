package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/alertmanager"
)

func init() {
	Provider.Action("silence", "Keep an Alertmanager from telling people of one alert for a short while", func() act.Action {
		return &Silence{For: jenner.Duration(time.Minute)}
	})
}

// Silence silences exactly the alerts that have all these labels. It ends by itself, at the latest an hour after it was
// made; doing it again for the same incident makes it last longer. Its undo ends it. Resolving an alert that is silenced
// is told to nobody either, which is how Alertmanager does it.
type Silence struct {
	// URL is the Alertmanager's, such as http://alertmanager:9093.
	URL string `json:"url"`
	// Token is said to it as `Authorization: Bearer TOKEN`.
	Token *jenner.Secret `json:"token,omitempty"`
	// Labels are those of the alert, all of them, alertname among them.
	Labels map[string]string `json:"labels"`
	// For is how long it lasts; 1m where not said, and 1h at most.
	For jenner.Duration `json:"for,omitempty"`
}

const (
	// creator is what silences say of who made them.
	creator = "jenner"
	// longest is how long a silence lasts at most without being made again.
	longest = time.Hour
)

// Validate refuses a silence of everything, and one that lasts.
func (s *Silence) Validate() error {
	if err := validURL(s.URL); err != nil {
		return err
	}
	if s.Labels[jenner.AlertName] == "" {
		return errors.New("labels must name the alert: alertname, and whatever else it has")
	}
	if s.For <= 0 || s.For.Std() > longest {
		return fmt.Errorf("for is %s; write at most %s", s.For, jenner.Duration(longest))
	}
	return validSecret(s.Token)
}

// Check refuses what Validate refuses.
func (s *Silence) Check(context.Context, act.Call) error {
	if err := s.Validate(); err != nil {
		return jenner.Permanent(err, "")
	}
	return nil
}

// Do makes the silence, or makes the one of the same incident last longer.
func (s *Silence) Do(ctx context.Context, call act.Call) (act.Result, error) {
	mine, err := s.mine(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	now := time.Now()
	silence := alertmanager.Silence{Matchers: s.matchers(), StartsAt: now, EndsAt: now.Add(s.For.Std()), CreatedBy: creator, Comment: comment(call)}
	if len(mine) > 0 {
		silence.ID, silence.StartsAt = mine[0].ID, mine[0].StartsAt
		if mine[0].EndsAt.After(silence.EndsAt) {
			return act.Result{Summary: "silenced already, until " + mine[0].EndsAt.Format(time.RFC3339), Output: mine[0].ID}, nil
		}
	}
	id, err := client(s.URL, s.Token).Silence(ctx, silence)
	if err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: fmt.Sprintf("silence %s until %s", id, silence.EndsAt.Format(time.RFC3339)), Changed: true, Output: id}, nil
}

// Happened is done where there is such a silence.
func (s *Silence) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	mine, err := s.mine(ctx, call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case len(mine) > 0:
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Undo ends the silences of this incident for this alert. Those that others made stay.
func (s *Silence) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	mine, err := s.mine(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	for _, silence := range mine {
		if err := client(s.URL, s.Token).EndSilence(ctx, silence.ID); err != nil {
			return act.Result{}, err
		}
	}
	if len(mine) == 0 {
		return act.Result{Summary: "the silence is over already"}, nil
	}
	return act.Result{Summary: "the silence is ended", Changed: true}, nil
}

func comment(call act.Call) string { return "Jenner heals it, incident " + call.Incident }

func (s *Silence) matchers() []alertmanager.Matcher {
	var matchers []alertmanager.Matcher
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		matchers = append(matchers, alertmanager.Matcher{Name: name, Value: s.Labels[name], IsEqual: true})
	}
	return matchers
}

// mine are the silences of this incident for exactly this alert that are not over.
func (s *Silence) mine(ctx context.Context, call act.Call) ([]alertmanager.Silence, error) {
	name := alertmanager.Matcher{Name: jenner.AlertName, Value: s.Labels[jenner.AlertName], IsEqual: true}
	all, err := client(s.URL, s.Token).Silences(ctx, name)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(silence alertmanager.Silence) bool {
		return silence.Ended() || silence.CreatedBy != creator || silence.Comment != comment(call) || !s.same(silence.Matchers)
	}), nil
}

// same compares matchers in whatever order. Of labels that are empty an Alertmanager keeps none.
func (s *Silence) same(theirs []alertmanager.Matcher) bool {
	ours := s.matchers()
	if len(ours) != len(theirs) {
		return false
	}
	return !slices.ContainsFunc(ours, func(m alertmanager.Matcher) bool { return !slices.Contains(theirs, m) })
}
