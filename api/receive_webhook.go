package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/expression"
)

// listed is how many alerts one body may have.
const listed = 10000

// readWebhook reads any JSON body as the receiver's `read` says.
func (rc *Receive) readWebhook(receiver jenner.Receiver, body []byte) (message, error) {
	if receiver.Read == nil {
		return message{}, errors.New("the receiver does not say how it is read")
	}
	var whole any
	if err := json.Unmarshal(body, &whole); err != nil {
		return message{}, plain(err)
	}
	alerts := []any{whole}
	if receiver.Read.Alerts != "" {
		value, err := rc.evaluate(receiver.Read.Alerts, whole, nil)
		if err != nil {
			return message{}, fmt.Errorf("alerts: %w", err)
		}
		list, is := value.([]any)
		if !is || len(list) > listed {
			return message{}, fmt.Errorf("alerts: %#q gives no list of at most %d", receiver.Read.Alerts, listed)
		}
		alerts = list
	}
	var read message
	for i, alert := range alerts {
		sent, err := rc.readOne(*receiver.Read, whole, alert)
		switch {
		case err != nil:
			return message{}, fmt.Errorf("alert %d: %w", i+1, err)
		case sent.Status != jenner.Firing && sent.Status != jenner.Resolved || !readable(sent.Labels):
			read.unreadable++
		default:
			read.alerts = append(read.alerts, sent)
		}
	}
	return read, nil
}

func (rc *Receive) evaluate(written string, body, alert any) (any, error) {
	compiled, err := rc.compile(written)
	if err != nil {
		return nil, err
	}
	return compiled.Value(map[string]any{"body": body, "alert": alert})
}

// compile keeps what it compiled: there are only as many expressions as people write.
func (rc *Receive) compile(written string) (*expression.Expression, error) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if compiled := rc.compiled[written]; compiled != nil {
		return compiled, nil
	}
	scope, err := expression.Body()
	if err != nil {
		return nil, err
	}
	compiled, err := scope.Compile(written)
	if err != nil {
		return nil, err
	}
	if rc.compiled == nil {
		rc.compiled = map[string]*expression.Expression{}
	}
	rc.compiled[written] = compiled
	return compiled, nil
}

// fields reads one alert and keeps the first mistake.
type fields struct {
	rc          *Receive
	body, alert any
	err         error
}

func (f *fields) value(name, written string) any {
	if written == "" || f.err != nil {
		return nil
	}
	value, err := f.rc.evaluate(written, f.body, f.alert)
	if err != nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
	return value
}

func (f *fields) text(name, written string) string {
	value := f.value(name, written)
	text, is := asText(value)
	if !is && f.err == nil {
		f.err = fmt.Errorf("%s: %#q gives no text", name, written)
	}
	return text
}

func (f *fields) time(name, written string) time.Time {
	value := f.value(name, written)
	at, is := asTime(value)
	if !is && f.err == nil {
		f.err = fmt.Errorf("%s: %#q gives %v, which is no time; it must be RFC 3339, or seconds or milliseconds since 1970", name, written, value)
	}
	return at
}

func (rc *Receive) readOne(read jenner.WebhookRead, body, alert any) (jenner.SentAlert, error) {
	f := &fields{rc: rc, body: body, alert: alert}
	sent := jenner.SentAlert{Labels: map[string]string{}, Annotations: map[string]string{"summary": f.text("summary", read.Summary)},
		Status: jenner.AlertStatus(strings.ToLower(f.text("status", read.Status))), StartsAt: f.time("starts_at", read.StartsAt),
		EndsAt: f.time("ends_at", read.EndsAt), Service: f.text("service", read.Service), Key: f.text("key", read.Key)}
	if labels := f.value("labels", read.Labels); labels != nil {
		written, is := labels.(map[string]any)
		if !is && f.err == nil {
			f.err = fmt.Errorf("labels: %#q gives no map", read.Labels)
		}
		for name, value := range written {
			if text, is := asText(value); is {
				sent.Labels[name] = text
			} else if f.err == nil {
				f.err = fmt.Errorf("labels: %s is no text", name)
			}
		}
	}
	if severity := f.text("severity", read.Severity); severity != "" {
		sent.Labels["severity"] = severity
	}
	sent.Labels[jenner.AlertName] = f.text("name", read.Name)
	return sent, f.err
}

func asText(value any) (string, bool) {
	switch value := value.(type) {
	case nil:
		return "", true
	case string:
		return value, true
	case bool:
		return strconv.FormatBool(value), true
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), true
	}
	return "", false
}

// secondsLimit parts seconds from milliseconds: as seconds it lies in the year 5138, as milliseconds in 1973.
const secondsLimit = 1e11

func asTime(value any) (time.Time, bool) {
	switch value := value.(type) {
	case nil:
		return time.Time{}, true
	case time.Time:
		return value, true
	case float64:
		return sinceEpoch(value)
	case string:
		if value == "" {
			return time.Time{}, true
		}
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			return at, true
		}
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			return sinceEpoch(number)
		}
	}
	return time.Time{}, false
}

func sinceEpoch(number float64) (time.Time, bool) {
	if math.IsNaN(number) || number < 0 || number > 1000*secondsLimit {
		return time.Time{}, false
	}
	if number < secondsLimit {
		number *= 1000
	}
	return time.UnixMilli(int64(number)).UTC(), true
}
