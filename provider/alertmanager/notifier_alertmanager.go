package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/alertmanager"
	"github.com/jenner-heal/jenner/notify"
)

func init() {
	Provider.Notifier("alertmanager", "Tell an Alertmanager of each incident while it lasts, and of each page", func() notify.Notifier {
		return &NotifierAlertmanager{}
	})
}

// The names of the alerts that are given.
const (
	alertIncident = "JennerIncident" // an incident is open, or a person has it and its alerts fire on
	alertPage     = "JennerPage"     // a person is needed
)

// The labels that are given besides alertname, service and severity. The one with the phase is on all of them, by which
// Jenner knows its own alerts again where they come back to it.
const (
	labelIncident = "incident"
	labelPhase    = "jenner_phase"
	labelMessage  = "message"
	phasePaged    = "paged"
)

const (
	// expiry is how long after it was last told an Alertmanager lets go of what is shown.
	expiry = 3 * notify.FollowEvery
	// alone is how long a message stands that belongs to no incident.
	alone = time.Hour
)

// NotifierAlertmanager gives alerts to one or several Alertmanagers of one cluster, each of which is told everything.
//
// JennerIncident fires while an incident is open, and on while a person has it and its alerts fire, with the labels
// service, incident, severity info, and jenner_phase; a new phase is a new alert, and the one before is resolved. JennerPage
// fires from when a person was told over this channel until the incident is over, with severity page or ticket. Both end
// by themselves 90 s after Jenner was last heard of.
type NotifierAlertmanager struct {
	// URLs are all members of the cluster, such as http://alertmanager:9093, each with its path prefix where it has one.
	URLs []string `json:"urls"`
	// Token is said to them as `Authorization: Bearer TOKEN`.
	Token *jenner.Secret `json:"token,omitempty"`
	// Labels are added to every alert, such as cluster: eu-1.
	Labels map[string]string `json:"labels,omitempty"`

	now func() time.Time // time.Now where nil

	mu    sync.Mutex
	shown map[string]alertmanager.Alert             // by what makes an alert the same
	told  map[string]map[jenner.Severity]pageLetter // by incident and severity
}

// pageLetter is what a page says.
type pageLetter struct {
	title, body string
	at          time.Time
}

// Validate checks the addresses and the labels.
func (n *NotifierAlertmanager) Validate() error {
	if len(n.URLs) == 0 {
		return errors.New("urls is missing; write [http://HOST:9093]")
	}
	for _, address := range n.URLs {
		if err := validURL(address); err != nil {
			return err
		}
	}
	for _, own := range []string{jenner.AlertName, "service", "severity", labelIncident, labelPhase, labelMessage} {
		if _, taken := n.Labels[own]; taken {
			return fmt.Errorf("the label %s is Jenner's own; call yours another name", own)
		}
	}
	return validSecret(n.Token)
}

func (n *NotifierAlertmanager) time() time.Time {
	if n.now != nil {
		return n.now()
	}
	return time.Now()
}

// Notify gives the page. It is enough that one Alertmanager takes it: they tell each other.
func (n *NotifierAlertmanager) Notify(ctx context.Context, message notify.Message) error {
	letter := pageLetter{message.Title, message.Body, message.At}
	page := n.page(message.Service, message.Incident, message.Severity, letter)
	if message.Incident == "" {
		page.Labels[labelMessage] = jenner.Fingerprint(message.Key)
		page.EndsAt = n.time().Add(alone)
	} else {
		n.remember(message, page, letter)
	}
	var failed []error
	for _, address := range n.URLs {
		if err := client(address, n.Token).Give(ctx, []alertmanager.Alert{page}); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == len(n.URLs) {
		return jenner.Retryable(fmt.Errorf("no Alertmanager took the message: %w", errors.Join(failed...)), "")
	}
	return nil
}

// remember keeps the page, so that it is told on for as long as the incident lasts, and ended with it.
func (n *NotifierAlertmanager) remember(message notify.Message, page alertmanager.Alert, letter pageLetter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told == nil {
		n.told = map[string]map[jenner.Severity]pageLetter{}
	}
	if n.shown == nil {
		n.shown = map[string]alertmanager.Alert{}
	}
	if n.told[message.Incident] == nil {
		n.told[message.Incident] = map[jenner.Severity]pageLetter{}
	}
	n.told[message.Incident][message.Severity] = letter
	n.shown[pagedAs(message.Incident, message.Severity)] = page
}

// pagedAs is what makes a page the same in what is shown.
func pagedAs(incident string, severity jenner.Severity) string {
	return incident + "/" + phasePaged + "/" + string(severity)
}

// Follow shows all incidents that last, and ends what is over. Where an Alertmanager did not hear it, that is told; what
// ends is ended again the next time, for all of them.
func (n *NotifierAlertmanager) Follow(ctx context.Context, all []notify.Standing) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	wanted := n.wanted(all)
	give := make([]alertmanager.Alert, 0, len(wanted))
	for _, alert := range wanted {
		give = append(give, alert)
	}
	for key, alert := range n.shown {
		if _, still := wanted[key]; !still {
			alert.EndsAt = n.time()
			give = append(give, alert)
		}
	}
	if len(give) == 0 {
		return nil
	}
	var failed []error
	for _, address := range n.URLs {
		failed = append(failed, n.giveAll(ctx, address, give))
	}
	if err := errors.Join(failed...); err != nil {
		for key, alert := range n.shown { // whoever did not hear of an end is told the next time
			if _, still := wanted[key]; !still && n.time().Before(alert.EndsAt) {
				wanted[key] = alert
			}
		}
		n.shown = wanted
		return jenner.Retryable(err, "")
	}
	n.shown = wanted
	return nil
}

// atOnce is how many alerts are given in one request.
const atOnce = 500

func (n *NotifierAlertmanager) giveAll(ctx context.Context, address string, alerts []alertmanager.Alert) error {
	for len(alerts) > 0 {
		count := min(len(alerts), atOnce)
		if err := client(address, n.Token).Give(ctx, alerts[:count]); err != nil {
			return err
		}
		alerts = alerts[count:]
	}
	return nil
}

// wanted are the alerts that fire now, by what makes them the same. The pages of incidents that are over are forgotten.
func (n *NotifierAlertmanager) wanted(all []notify.Standing) map[string]alertmanager.Alert {
	wanted := map[string]alertmanager.Alert{}
	told := map[string]map[jenner.Severity]pageLetter{}
	for _, one := range all {
		open := n.incident(one)
		wanted[one.Incident+"/"+string(one.Phase)] = open
		letters := n.told[one.Incident]
		if one.Paged && len(letters) == 0 { // told before a restart
			letters = map[jenner.Severity]pageLetter{one.Severity: {one.Title, one.Body, one.OpenedAt}}
		}
		for severity, letter := range letters {
			wanted[pagedAs(one.Incident, severity)] = n.page(one.Service, one.Incident, severity, letter)
		}
		if letters != nil {
			told[one.Incident] = letters
		}
	}
	n.told = told
	return wanted
}

func (n *NotifierAlertmanager) incident(one notify.Standing) alertmanager.Alert {
	alert := n.alert(alertIncident, one.Service, one.Incident, "info", string(one.Phase), one.OpenedAt)
	alert.Annotations = map[string]string{"summary": one.Title, "description": one.Body}
	return alert
}

func (n *NotifierAlertmanager) page(service, incident string, severity jenner.Severity, letter pageLetter) alertmanager.Alert {
	alert := n.alert(alertPage, service, incident, string(severity), phasePaged, letter.at)
	alert.Annotations = map[string]string{"summary": letter.title, "description": letter.body}
	return alert
}

func (n *NotifierAlertmanager) alert(name, service, incident, severity, phase string, since time.Time) alertmanager.Alert {
	labels := map[string]string{jenner.AlertName: name, "severity": severity, labelPhase: phase}
	maps.Copy(labels, n.Labels)
	if service != "" {
		labels["service"] = service
	}
	if incident != "" {
		labels[labelIncident] = incident
	}
	return alertmanager.Alert{Labels: labels, StartsAt: since, EndsAt: n.time().Add(expiry)}
}
