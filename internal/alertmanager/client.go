// Package alertmanager speaks with an Alertmanager over its HTTP API, version 2: alerts, silences, and since when it runs.
//
// It is for the few questions and requests that Jenner has, over net/http. It is not for what they mean, nor for taking
// what an Alertmanager sends by itself.
package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// Client speaks with one Alertmanager. It is safe for concurrent use.
type Client struct {
	URL string // http://HOST:9093, with the path prefix where it has one
	// Token is what proves who asks, read anew each time; nil: nothing is said.
	Token func() (string, error)
	HTTP  *http.Client // one with a timeout of ten seconds where nil
}

// Alert is an alert, as it is given, and as it is told of with UpdatedAt, Fingerprint and Status.
type Alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"startsAt,omitzero"`
	EndsAt       time.Time         `json:"endsAt,omitzero"`
	GeneratorURL string            `json:"generatorURL,omitempty"`

	UpdatedAt   time.Time `json:"updatedAt,omitzero"` // when somebody last said that it fires
	Fingerprint string    `json:"fingerprint,omitempty"`
	Status      *State    `json:"status,omitempty"`
}

// State is why an alert is or is not told to people.
type State struct {
	State       string   `json:"state"` // active, suppressed or unprocessed
	SilencedBy  []string `json:"silencedBy"`
	InhibitedBy []string `json:"inhibitedBy"`
}

// Matcher picks alerts by one label.
type Matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

// String is the matcher in the form of a filter.
func (m Matcher) String() string {
	operator := map[[2]bool]string{{false, true}: "=", {false, false}: "!=", {true, true}: "=~", {true, false}: "!~"}[[2]bool{m.IsRegex, m.IsEqual}]
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(m.Value)
	return m.Name + operator + `"` + quoted + `"`
}

// Silence keeps alerts from being told to people.
type Silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []Matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	Status    *struct {
		State string `json:"state"` // active, pending or expired
	} `json:"status,omitempty"`
}

// Ended tells whether the silence is over.
func (s Silence) Ended() bool { return s.Status != nil && s.Status.State == "expired" }

// Named is the matcher of alerts with one of these names.
func Named(names []string) Matcher {
	var parts []string
	for _, name := range names {
		parts = append(parts, regexp.QuoteMeta(name))
	}
	return Matcher{Name: jenner.AlertName, Value: strings.Join(parts, "|"), IsRegex: true, IsEqual: true}
}

// Alerts are the alerts that fire by the Alertmanager's clock, silenced and inhibited ones among them, and what that clock says.
func (c *Client) Alerts(ctx context.Context, filters ...Matcher) ([]Alert, time.Time, error) {
	var alerts []Alert
	now, err := c.do(ctx, http.MethodGet, "/api/v2/alerts?"+query(filters), nil, &alerts)
	return alerts, now, err
}

// Give tells of alerts: they fire until their EndsAt, or, where that is past, no more.
func (c *Client) Give(ctx context.Context, alerts []Alert) error {
	_, err := c.do(ctx, http.MethodPost, "/api/v2/alerts", alerts, nil)
	return err
}

// Silences are all silences that the matchers are part of, ended ones among them.
func (c *Client) Silences(ctx context.Context, filters ...Matcher) ([]Silence, error) {
	var silences []Silence
	_, err := c.do(ctx, http.MethodGet, "/api/v2/silences?"+query(filters), nil, &silences)
	return silences, err
}

// Silence makes a silence, or changes the one of that ID, and gives its ID from then on.
func (c *Client) Silence(ctx context.Context, silence Silence) (string, error) {
	var made struct {
		SilenceID string `json:"silenceID"`
	}
	silence.Status = nil
	if _, err := c.do(ctx, http.MethodPost, "/api/v2/silences", silence, &made); err != nil {
		return "", err
	}
	if made.SilenceID == "" {
		return "", jenner.Retryable(fmt.Errorf("the Alertmanager %s did not say the silence's id", c.URL), "")
	}
	return made.SilenceID, nil
}

// EndSilence ends a silence. One that is over already, or is not there, is no error.
func (c *Client) EndSilence(ctx context.Context, id string) error {
	_, err := c.do(ctx, http.MethodDelete, "/api/v2/silence/"+url.PathEscape(id), nil, nil)
	var refused *Refused
	if errors.As(err, &refused) && (refused.Status == http.StatusNotFound || strings.Contains(refused.Said, "not found") ||
		strings.Contains(refused.Said, "expired")) { // older ones answer 500 to both
		return nil
	}
	return err
}

// Started is since when the Alertmanager runs: what it was told before, it does not know.
func (c *Client) Started(ctx context.Context) (time.Time, error) {
	var status struct {
		Uptime time.Time `json:"uptime"`
	}
	_, err := c.do(ctx, http.MethodGet, "/api/v2/status", nil, &status)
	return status.Uptime, err
}

// Refused is an answer that is not 2xx.
type Refused struct {
	Status int
	Said   string
}

// Error is the status and what was said.
func (r *Refused) Error() string { return fmt.Sprintf("it answered %d: %s", r.Status, r.Said) }

const (
	patience = 10 * time.Second
	// largest is how much of an answer is read: some ten thousand alerts.
	largest = 32 << 20
)

var plain = &http.Client{Timeout: patience}

func query(filters []Matcher) string {
	values := url.Values{}
	for _, filter := range filters {
		values.Add("filter", filter.String())
	}
	return values.Encode()
}

// do is one request. The time is the server's, the zero time where it does not say it. What may pass by itself is
// jenner.Retryable.
func (c *Client) do(ctx context.Context, method, path string, send, receive any) (time.Time, error) {
	var body io.Reader
	if send != nil {
		body = bytes.NewReader(jenner.Raw(send))
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+path, body)
	if err != nil {
		return time.Time{}, jenner.Permanent(err, "")
	}
	request.Header.Set("Content-Type", "application/json")
	if c.Token != nil {
		token, err := c.Token()
		if err != nil {
			return time.Time{}, jenner.Retryable(err, "")
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := c.HTTP
	if client == nil {
		client = plain
	}
	response, err := client.Do(request)
	if err != nil {
		return time.Time{}, jenner.Retryable(fmt.Errorf("the Alertmanager cannot be asked: %w", err), "")
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, largest+1))
	at, _ := http.ParseTime(response.Header.Get("Date"))
	switch {
	case err != nil:
		return at, jenner.Retryable(fmt.Errorf("the answer of the Alertmanager %s broke off: %w", c.URL, err), "")
	case len(raw) > largest:
		return at, jenner.Permanent(fmt.Errorf("the answer of the Alertmanager %s is larger than %d bytes", c.URL, largest), "")
	case response.StatusCode/100 != 2:
		return at, c.refused(response.StatusCode, raw)
	case receive == nil:
		return at, nil
	}
	if err := json.Unmarshal(raw, receive); err != nil {
		return at, jenner.Permanent(fmt.Errorf("the answer of the Alertmanager %s cannot be read: %w", c.URL, err), "is it an Alertmanager of version 0.16 or later?")
	}
	return at, nil
}

func (c *Client) refused(status int, raw []byte) error {
	err := fmt.Errorf("the Alertmanager %s: %w", c.URL, &Refused{status, strings.TrimSpace(string(raw[:min(len(raw), 500)]))})
	if status >= 500 || status == http.StatusTooManyRequests {
		return jenner.Retryable(err, "")
	}
	return jenner.Permanent(err, "")
}
