package config

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/expression"
)

func (c *checker) receiver(receiver jenner.Receiver) {
	d := c.document(kindReceiver, receiver.Name, receiver.Source)
	if strings.ContainsAny(receiver.Name, "/?#% ") {
		d.problem("/name", "the name %q is the last part of an address; write it without /, ?, #, %% and spaces", receiver.Name)
	}
	d.oneOf("/from", "form", string(receiver.From), spelled(jenner.ReceiverForms)...)
	if receiver.From == "" {
		d.problem("/from", "receiver %s does not say from what; write prometheus, alertmanager, grafana or webhook", receiver.Name)
	}
	d.sender(receiver)
	d.webhookRead(receiver)
	d.receiverTimes(receiver)
	d.receiverAlertmanager(receiver)
	for path, limit := range map[string]int{"/max_body": receiver.MaxBody, "/max_per_second": receiver.MaxPerSecond} {
		d.atLeastOne(path, path[1:], limit, "leave it out for the default")
	}
	for i, name := range receiver.Alerts {
		if slices.Index(receiver.Alerts, name) < i {
			d.problem("/alerts", "alert %q stands twice in receiver %s", name, receiver.Name)
		}
	}
}

// sender asks for a way to know who sends.
func (d document) sender(receiver jenner.Receiver) {
	const path = ""
	switch {
	case receiver.Token == nil && receiver.HMAC == nil && !receiver.Local:
		d.problem(path, "anybody could send alerts to receiver %s; write token: {file: ...}, hmac: {secret: {env: ...}}, "+
			"or local: true for senders on this machine", receiver.Name)
	case receiver.Local && (receiver.Token != nil || receiver.HMAC != nil):
		d.problem("/local", "receiver %s asks its sender for a secret, so that local means nothing; write one of them", receiver.Name)
	case receiver.HMAC != nil && slices.Contains([]jenner.ReceiverFrom{jenner.FromPrometheus, jenner.FromAlertmanager}, receiver.From):
		d.problem("/hmac", "%s does not sign what it sends; write token: {file: ...}", receiver.From)
	}
	if receiver.Token != nil {
		d.secret("/token", "the token of receiver "+receiver.Name, *receiver.Token, receiver.Dir)
	}
	if receiver.HMAC != nil {
		d.secret("/hmac/secret", "the secret of receiver "+receiver.Name, receiver.HMAC.Secret, receiver.Dir)
	}
}

// secret must be in exactly one place. That it is not there yet is a warning: it may come to the machine another way.
func (d document) secret(path, what string, secret jenner.Secret, dir string) {
	switch {
	case (secret.File == "") == (secret.Env == ""):
		d.problem(path, "%s must be in one place; write file: PATH, or env: VARIABLE", what)
	case secret.Env != "":
		if os.Getenv(secret.Env) == "" {
			d.warn(path, "%s is in the environment variable %s, which is not set here", what, secret.Env)
		}
	default:
		file := secret.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		info, err := os.Stat(file)
		switch {
		case err != nil:
			d.warn(path, "%s is in the file %s, which cannot be read here: %s", what, secret.File, cause(err))
		case info.Mode().Perm()&0o077 != 0:
			d.warn(path, "%s is in the file %s, which others may read; chmod 600 it", what, secret.File)
		}
	}
}

func (d document) webhookRead(receiver jenner.Receiver) {
	switch {
	case receiver.From == jenner.FromWebhook && receiver.Read == nil:
		d.problem("", "receiver %s does not say how its body is read; write read: {name: ..., status: ...}", receiver.Name)
		return
	case receiver.From != jenner.FromWebhook && receiver.Read != nil:
		d.problem("/read", "what comes from %s is read in its own form; read is for from: webhook", receiver.From)
		return
	case receiver.Read == nil:
		return
	}
	scope, err := expression.Body()
	if err != nil {
		d.problem("/read", "receiver %s cannot be read: %v", receiver.Name, err)
		return
	}
	read := *receiver.Read
	for _, one := range []struct{ key, written string }{{"alerts", read.Alerts}, {"name", read.Name}, {"status", read.Status},
		{"service", read.Service}, {"starts_at", read.StartsAt}, {"ends_at", read.EndsAt}, {"summary", read.Summary},
		{"severity", read.Severity}, {"labels", read.Labels}, {"key", read.Key}} {
		needed := one.key == "name" || one.key == "status"
		switch {
		case one.written == "" && needed:
			d.problem("/read", "receiver %s does not say where the %s of an alert stands; write CEL such as alert.%s", receiver.Name, one.key, one.key)
		case one.written != "":
			if _, err := scope.Compile(one.written); err != nil {
				d.problem("/read/"+one.key, "%s of receiver %s cannot be read: %v", one.key, receiver.Name, err)
			}
		}
	}
}

const (
	longestResend = 24 * time.Hour
	soonestAsk    = time.Second

	shortestSilence = 2 * time.Second
	longestSilence  = time.Hour
)

func (d document) receiverTimes(receiver jenner.Receiver) {
	if resend := receiver.ResendEvery.Std(); d.written("/resend_every") && (resend <= 0 || resend > longestResend) {
		d.problem("/resend_every", "an alert of receiver %s would be believed for %s after it was heard of; write more than 0 and at most %s",
			receiver.Name, receiver.ResendEvery, jenner.Duration(longestResend))
	}
	if expires := receiver.ExpiresAfter.Std(); d.written("/expires_after") && (expires <= 0 || expires > longestResend) {
		d.problem("/expires_after", "expires_after of receiver %s is %s; write more than 0 and at most %s", receiver.Name,
			receiver.ExpiresAfter, jenner.Duration(longestResend))
	}
}

func (d document) receiverAlertmanager(receiver jenner.Receiver) {
	if receiver.Alertmanager == nil {
		return
	}
	const path = "/alertmanager"
	if receiver.From != jenner.FromAlertmanager && receiver.From != jenner.FromPrometheus {
		d.problem(path, "alerts from %s come from no Alertmanager that could be asked", receiver.From)
	}
	address, err := url.Parse(receiver.Alertmanager.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		d.problem(path+"/url", "%q is no address of an Alertmanager; write http://HOST:9093", receiver.Alertmanager.URL)
	}
	if receiver.Alertmanager.Token != nil {
		d.secret(path+"/token", "the token for the Alertmanager of receiver "+receiver.Name, *receiver.Alertmanager.Token, receiver.Dir)
	}
	silence := receiver.Alertmanager.SilenceFor.Std()
	switch {
	case !d.written(path + "/silence_for"):
	case silence < shortestSilence || silence > longestSilence:
		d.problem(path+"/silence_for", "silence_for of receiver %s is %s; write %s to %s", receiver.Name, receiver.Alertmanager.SilenceFor,
			jenner.Duration(shortestSilence), jenner.Duration(longestSilence))
	case !receiver.Alertmanager.SilenceWhileActing:
		d.problem(path+"/silence_for", "receiver %s silences nothing; write silence_while_acting: true as well", receiver.Name)
	}
	if every := receiver.Alertmanager.Every.Std(); d.written(path+"/every") && every < soonestAsk {
		d.problem(path+"/every", "the Alertmanager of receiver %s would be asked every %s; write %s or more", receiver.Name,
			receiver.Alertmanager.Every, jenner.Duration(soonestAsk))
	}
}
