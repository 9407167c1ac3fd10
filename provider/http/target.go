package http

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("http", "A service reached over HTTP, through a fault proxy if it is to be broken", func() any { return &Target{} })
}

// Target is a service that is reached over HTTP.
type Target struct {
	// URL is where callers reach it; a relative url of the request action starts here.
	URL string `json:"url,omitempty"`
	// Proxy is the control address of the fault proxy between callers and the service: http://127.0.0.1:18096. Faults
	// need it.
	Proxy string `json:"proxy,omitempty"`
}

// Validate checks the addresses.
func (t *Target) Validate() error {
	if t.URL == "" && t.Proxy == "" {
		return errors.New("url and proxy are both missing; write one at least")
	}
	for name, address := range map[string]string{"url": t.URL, "proxy": t.Proxy} {
		if address == "" {
			continue
		}
		if _, err := absoluteURL(address); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func decodeTarget(target jenner.Target) (*Target, error) {
	if target.Kind != "http" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not of kind http", target.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	return t, nil
}

func absoluteURL(address string) (*url.URL, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL: %w", address, err)
	}
	if parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return nil, fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080/path", address)
	}
	return parsed, nil
}
