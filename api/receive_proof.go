package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// signatureHeader is where GitHub and many others put a signature, with signaturePrefix before it.
	signatureHeader = "X-Hub-Signature-256"
	signaturePrefix = "sha256="
	// grafanaHeader is where Grafana puts one.
	grafanaHeader = "X-Grafana-Alerting-Signature"
	// signatureAge is how old a signature with a time may be, and how far ahead.
	signatureAge = 5 * time.Minute
	// shortestSecret is how many bytes a secret has at least: a shorter one can be guessed.
	shortestSecret = 16
)

// proven says why a sender is not who may send. A signature is looked at once the body is there.
func proven(r *http.Request, receiver jenner.Receiver) *refusal {
	switch {
	case receiver.Token != nil:
		return tokened(r, receiver)
	case receiver.HMAC != nil:
		return nil
	case receiver.Local && fromHere(r):
		return nil
	case receiver.Local:
		return refuse(http.StatusForbidden, "give the receiver a token or an hmac, and let the sender use it",
			"receiver %s takes alerts from this machine only", receiver.Name)
	}
	return refuse(http.StatusForbidden, "write token, hmac or local: true into the receiver", "receiver %s has no way to know its sender", receiver.Name)
}

func tokened(r *http.Request, receiver jenner.Receiver) *refusal {
	want, err := secret(*receiver.Token, receiver.Dir)
	if err != nil {
		return noSecret(receiver, err)
	}
	got, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !bearer:
		return refuse(http.StatusUnauthorized, "send the header Authorization: Bearer TOKEN with the token of the receiver", "there is no token")
	case subtle.ConstantTimeCompare(digest(strings.TrimSpace(got)), digest(want)) != 1:
		return refuse(http.StatusUnauthorized, "compare the sender's token with the one that the receiver reads", "the token is another one")
	}
	return nil
}

// digest makes secrets equally long, so that comparing them takes equally long.
func digest(word string) []byte {
	sum := sha256.Sum256([]byte(word))
	return sum[:]
}

// fromHere tells whether a request comes from a program on this machine, and not through a proxy that runs here.
func fromHere(r *http.Request) bool {
	for _, header := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// signed says why the signature is not that of the body.
func signed(r *http.Request, receiver jenner.Receiver, body []byte, now time.Time) *refusal {
	if receiver.HMAC == nil {
		return nil
	}
	how := *receiver.HMAC
	if how.Header == "" {
		how.Header = signatureHeader
		if receiver.From == jenner.FromGrafana {
			how.Header = grafanaHeader
		}
	}
	if how.Prefix == "" && strings.EqualFold(how.Header, signatureHeader) {
		how.Prefix = signaturePrefix
	}
	key, err := secret(how.Secret, receiver.Dir)
	if err != nil {
		return noSecret(receiver, err)
	}
	written, prefixed := strings.CutPrefix(r.Header.Get(how.Header), how.Prefix)
	got, err := hex.DecodeString(written)
	if !prefixed || err != nil || written == "" {
		return refuse(http.StatusUnauthorized, fmt.Sprintf("sign the body with HMAC-SHA256 and send the header %s: %sHEX", how.Header, how.Prefix),
			"there is no signature")
	}
	mac := hmac.New(sha256.New, []byte(key))
	if how.TimestampHeader != "" {
		at := r.Header.Get(how.TimestampHeader)
		if no := recently(at, how.TimestampHeader, now); no != nil {
			return no
		}
		mac.Write([]byte(at + ":"))
	}
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), got) {
		return refuse(http.StatusUnauthorized, "compare the sender's secret with the one that the receiver reads", "the signature is not that of the body")
	}
	return nil
}

// recently refuses signatures from long ago, so that a message that somebody caught cannot be sent again later.
func recently(at, header string, now time.Time) *refusal {
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return refuse(http.StatusUnauthorized, "send the seconds since 1970 at which it was signed", "the header %s is %q", header, at)
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > signatureAge || age < -signatureAge {
		return refuse(http.StatusUnauthorized, "compare the clocks of both machines", "the signature is %s old, and %s are allowed", age.Round(time.Second), signatureAge)
	}
	return nil
}

// noSecret is our own fault, so the sender may try again.
func noSecret(receiver jenner.Receiver, err error) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, after: 10 * time.Second,
		Error: fmt.Sprintf("receiver %s cannot read its secret: %v", receiver.Name, err), Hint: "correct the receiver's secret on Jenner's machine"}
}

// secret reads a secret anew each time, so that it can be changed without a restart.
func secret(from jenner.Secret, dir string) (string, error) {
	word, err := from.Read(dir)
	switch {
	case err != nil:
		return "", errors.New("it cannot be had") // where it is is nobody's business who asks over the network
	case len(word) < shortestSecret:
		return "", fmt.Errorf("it has %d bytes, and %d are the least", len(word), shortestSecret)
	}
	return word, nil
}
