package alertmanager

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/lab"
)

// real is an Alertmanager that tells nobody of anything.
func real(t *testing.T) *Client {
	t.Helper()
	a, err := lab.StartAlertmanager(t.Context(), t.TempDir(), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &Client{URL: a.URL() + "/"}
}

func must[T any](t *testing.T) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// fires are the alerts with a filter.
func fires(t *testing.T, c *Client, filters ...Matcher) []Alert {
	t.Helper()
	alerts, at, err := c.Alerts(t.Context(), filters...)
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(at); age > time.Minute || age < -time.Minute {
		t.Errorf("its clock says %s", at)
	}
	return alerts
}

func TestARealAlertmanagerIsUnderstood(t *testing.T) {
	c := real(t)
	if started := must[time.Time](t)(c.Started(t.Context())); time.Since(started) > time.Minute || time.Since(started) < 0 {
		t.Errorf("it runs since %s", started)
	}
	now := time.Now()
	labels := map[string]string{"alertname": "Down", "path": `C:\x "y"` + "\n", "pod": "a"}
	if err := c.Give(t.Context(), []Alert{{Labels: labels, StartsAt: now, EndsAt: now.Add(time.Minute)},
		{Labels: map[string]string{"alertname": "Up.x"}, StartsAt: now, EndsAt: now.Add(time.Minute)}}); err != nil {
		t.Fatal(err)
	}
	if all := fires(t, c); len(all) != 2 {
		t.Errorf("there fire %+v, want both", all)
	}
	if all := fires(t, c, Named([]string{"Up.x", "Other"})); len(all) != 1 || all[0].Labels["alertname"] != "Up.x" {
		t.Errorf("of that name there fire %+v", all)
	}
	if all := fires(t, c, Named([]string{"Up?x"})); len(all) != 0 {
		t.Errorf("a name is no pattern, and there fire %+v", all)
	}
	path := Matcher{Name: "path", Value: labels["path"], IsEqual: true}
	all := fires(t, c, path)
	if len(all) != 1 || all[0].Status.State == "" || all[0].UpdatedAt.IsZero() || !all[0].EndsAt.After(now) {
		t.Fatalf("with that label there fire %+v", all)
	}
	silence := Silence{Matchers: []Matcher{path}, StartsAt: now, EndsAt: now.Add(time.Minute), CreatedBy: "test", Comment: "c"}
	silence.ID = must[string](t)(c.Silence(t.Context(), silence))
	silence.EndsAt = now.Add(2 * time.Minute)
	found := must[[]Silence](t)(c.Silences(t.Context(), path))
	if len(found) != 1 || found[0].ID != silence.ID || found[0].Ended() || found[0].Matchers[0] != path {
		t.Fatalf("the silences are %+v, want %s", found, silence.ID)
	}
	silence.StartsAt = found[0].StartsAt
	if again := must[string](t)(c.Silence(t.Context(), silence)); again != silence.ID {
		t.Errorf("the silence that lasts longer is %s, want the same, %s", again, silence.ID)
	}
	for range 2 { // ending it twice is as ending it once
		if err := c.EndSilence(t.Context(), silence.ID); err != nil {
			t.Error(err)
		}
	}
	if err := c.EndSilence(t.Context(), "7b884642-60c9-4349-aaa6-af248a771e52"); err != nil {
		t.Errorf("ending one that is not there: %v", err)
	}
	if found := must[[]Silence](t)(c.Silences(t.Context())); len(found) != 1 || !found[0].Ended() {
		t.Errorf("the silences are %+v, want one that is over", found)
	}
}

// TestWhatAnAlertmanagerRefuses is told with its words, and whether trying again may help.
func TestWhatAnAlertmanagerRefuses(t *testing.T) {
	c := real(t)
	_, err := c.Silence(t.Context(), Silence{Matchers: []Matcher{{Name: "a", Value: "b", IsEqual: true}}, EndsAt: time.Now().Add(-time.Hour), CreatedBy: "x", Comment: "c"})
	var refused *Refused
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || jenner.NextAfter(err) != jenner.NeverMind {
		t.Errorf("a silence of the past: %v, then %v", err, jenner.NextAfter(err))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer right":
			http.Error(w, "who are you", http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/api/v2/status"):
			http.Error(w, "later", http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(`{"not": "a list"}`))
		}
	}))
	defer server.Close()
	for name, test := range map[string]struct {
		token string
		ask   func(c *Client) error
		says  string
		next  jenner.What
	}{
		"a wrong token":              {"wrong", func(c *Client) error { _, err := c.Started(t.Context()); return err }, "401: who are you", jenner.NeverMind},
		"one that is away":           {"right", func(c *Client) error { _, err := c.Started(t.Context()); return err }, "503: later", jenner.TryAgain},
		"one that is something else": {"right", func(c *Client) error { _, _, err := c.Alerts(t.Context()); return err }, "cannot be read", jenner.NeverMind},
		"a token that is lost":       {"", func(c *Client) error { _, err := c.Started(t.Context()); return err }, "lost", jenner.TryAgain},
	} {
		c := &Client{URL: server.URL, Token: func() (string, error) {
			if test.token == "" {
				return "", errors.New("lost")
			}
			return test.token, nil
		}}
		if err := test.ask(c); err == nil || !strings.Contains(err.Error(), test.says) || jenner.NextAfter(err) != test.next {
			t.Errorf("%s: %v, then %v; want %q, %v", name, err, jenner.NextAfter(err), test.says, test.next)
		}
	}
	if _, err := (&Client{URL: "http://127.0.0.1:1"}).Started(t.Context()); jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("where nobody listens: %v, then %v", err, jenner.NextAfter(err))
	}
}
