package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// told is an alert as Prometheus, Alertmanager and Grafana write it.
type told struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// labelsSize is how many bytes the labels of one alert may have: they are carried by every incident.
const labelsSize = 16 << 10

// readable tells whether an alert has labels, and not more than anybody has.
func readable(labels map[string]string) bool {
	size := 0
	for name, value := range labels {
		size += len(name) + len(value)
	}
	return len(labels) > 0 && size <= labelsSize
}

// readPrometheus reads what a Prometheus posts to /api/v2/alerts of an Alertmanager: a list of alerts, each of which says
// until when it holds. One that has held until now or longer ago is over.
func readPrometheus(body []byte, now time.Time) (message, error) {
	var list []told
	if err := json.Unmarshal(body, &list); err != nil {
		return message{}, plain(err)
	}
	var read message
	for _, one := range list {
		if !readable(one.Labels) {
			read.unreadable++
			continue
		}
		sent := jenner.SentAlert{Labels: one.Labels, Annotations: one.Annotations, Status: jenner.Firing, StartsAt: one.StartsAt, Until: one.EndsAt}
		if !one.EndsAt.IsZero() && !one.EndsAt.After(now) {
			sent.Status, sent.EndsAt, sent.Until = jenner.Resolved, one.EndsAt, time.Time{}
		}
		read.alerts = append(read.alerts, sent)
	}
	return read, nil
}

// notification is the body of Alertmanager's webhook, version 4, and of Grafana's, which was made after it.
type notification struct {
	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts int    `json:"truncatedAlerts"`
	Status          string `json:"status"`
	Alerts          []told `json:"alerts"`
}

// readAlertmanager reads the body of a webhook_config.
func readAlertmanager(body []byte) (message, error) {
	return readNotification(body, "4")
}

// readGrafana reads the body of a contact point of type webhook. Where Grafana could not look, it says so in an alert of
// its own, or in an annotation; that is no reason to act.
func readGrafana(body []byte) (message, error) {
	read, err := readNotification(body, "1")
	for i, alert := range read.alerts {
		reason := alert.Annotations["grafana_state_reason"]
		read.alerts[i].NoData = slices.Contains([]string{"DatasourceNoData", "DatasourceError"}, alert.Labels[jenner.AlertName]) ||
			strings.Contains(reason, "NoData") || strings.Contains(reason, "Error")
	}
	return read, err
}

func readNotification(body []byte, version string) (message, error) {
	var told notification
	if err := json.Unmarshal(body, &told); err != nil {
		return message{}, plain(err)
	}
	switch {
	case told.Version != version:
		return message{}, fmt.Errorf("its version is %q, and %q is known", told.Version, version)
	case told.Alerts == nil:
		return message{}, errors.New("there is no list `alerts`")
	}
	read := message{truncated: max(0, told.TruncatedAlerts), whole: told.TruncatedAlerts == 0}
	for _, one := range told.Alerts {
		status := jenner.AlertStatus(one.Status)
		if !readable(one.Labels) || status != jenner.Firing && status != jenner.Resolved {
			read.unreadable++
			continue
		}
		sent := jenner.SentAlert{Labels: one.Labels, Annotations: one.Annotations, Status: status, StartsAt: one.StartsAt, Group: told.GroupKey}
		if status == jenner.Resolved {
			sent.EndsAt = one.EndsAt
		}
		read.alerts = append(read.alerts, sent)
	}
	read.whole = read.whole && read.unreadable == 0
	return read, nil
}

// plain says what is wrong with JSON in the words of the format, not of Go.
func plain(err error) error {
	var form *json.UnmarshalTypeError
	if errors.As(err, &form) {
		return fmt.Errorf("at byte %d, %s is %s", form.Offset, orWhole(form.Field), form.Value)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	}
	return err
}

func orWhole(field string) string {
	if field == "" {
		return "the whole"
	}
	return "`" + field + "`"
}
