// Package alertmanager tells an Alertmanager of Jenner's incidents, and silences alerts there.
//
// It is for what Jenner gives to an Alertmanager. It is not for the alerts that come from one: those are taken by packages
// api and detect.
package alertmanager

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/alertmanager"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "alertmanager", Doc: "Alertmanager: Jenner's own alerts, and silences"}

// validURL checks the address of an Alertmanager.
func validURL(written string) error {
	address, err := url.Parse(written)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return fmt.Errorf("%q is no address of an Alertmanager; write http://HOST:9093", written)
	}
	return nil
}

// validSecret checks that a secret is in one place.
func validSecret(secret *jenner.Secret) error {
	if secret != nil && (secret.File == "") == (secret.Env == "") {
		return errors.New("the token must be in one place; write file: PATH, or env: VARIABLE")
	}
	return nil
}

// client speaks with the Alertmanager at an address.
func client(address string, token *jenner.Secret) *alertmanager.Client {
	made := &alertmanager.Client{URL: address}
	if token != nil {
		made.Token = func() (string, error) { return token.Read("") }
	}
	return made
}
