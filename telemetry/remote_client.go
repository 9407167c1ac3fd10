package telemetry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/jenner-heal/jenner"
)

// The limits of what is asked of a server.
const (
	maxAnswer      = 10 << 20 // bytes of one answer
	maxAtOnce      = 8        // questions under way at the same time
	askAgainFirst  = 100 * time.Millisecond
	askAgainMost   = 2 * time.Second
	maxIdleSeconds = 90
)

// client is the HTTP side of a Remote: credentials, limits, and another try where the server asks for patience.
type client struct {
	server jenner.Prometheus
	base   *url.URL
	http   *http.Client
	slots  chan struct{}
	skew   atomic.Int64 // nanoseconds that the server's clock is ahead of ours
}

func newClient(server jenner.Prometheus) (*client, error) {
	base, err := server.Address()
	if err != nil {
		return nil, err
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: server.Insecure}
	if server.CAFile != "" {
		pem, err := os.ReadFile(beside(server, server.CAFile))
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s holds no certificate in PEM form", server.CAFile)
		}
	}
	return &client{server: server, base: base, slots: make(chan struct{}, maxAtOnce), http: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{}).DialContext, TLSClientConfig: trust,
			ForceAttemptHTTP2: true, MaxIdleConnsPerHost: maxAtOnce, IdleConnTimeout: maxIdleSeconds * time.Second,
		},
		// A redirect would take the credentials to wherever the answer says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// URL is the address of an endpoint. Servers that may leave out what some of their parts do not answer are told not to: by the
// first word Thanos, by the second one VictoriaMetrics.
func (c *client) URL(endpoint string, _ map[string]string) *url.URL {
	address := c.base.JoinPath(endpoint)
	address.RawQuery = "partial_response=false&deny_partial_response=1"
	return address
}

// Do sends one request, once more where the server says 429 or 503, and gives the whole answer.
func (c *client) Do(ctx context.Context, request *http.Request) (*http.Response, []byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if err := c.introduce(request); err != nil {
		return nil, nil, err
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = askAgainFirst, askAgainMost
	for {
		response, body, err := c.send(ctx, request)
		if err != nil {
			return response, nil, err
		}
		if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
			return response, body, nil
		}
		wait := max(pause.NextBackOff(), retryAfter(response))
		if deadline, has := ctx.Deadline(); has && time.Until(deadline) <= wait {
			return response, body, nil // what it said is worth more than that it was too late
		}
		select {
		case <-ctx.Done():
			return response, body, nil
		case <-time.After(wait):
		}
	}
}

// retryAfter is how long a server asks to be left alone.
func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// send sends a request once.
func (c *client) send(ctx context.Context, request *http.Request) (*http.Response, []byte, error) {
	request = request.Clone(ctx)
	if request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			return nil, nil, err
		}
		request.Body = body
	}
	asked := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return nil, nil, cmp.Or(context.Cause(ctx), err)
	}
	defer response.Body.Close()
	c.compare(response, asked)
	if target, err := response.Location(); err == nil && response.StatusCode/100 == 3 {
		target.RawQuery = ""
		return response, nil, fmt.Errorf("it redirects to %s; write what stands there in front of /api/v1 as its url", target)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return response, nil, cmp.Or(context.Cause(ctx), err)
	case len(body) > maxAnswer:
		return response, nil, errTooLong
	case isPartial(body):
		return response, nil, errPartial
	}
	return response, body, nil
}

// What may be wrong with an answer that came.
var (
	errTooLong = fmt.Errorf("is longer than %d MB", maxAnswer>>20)
	errPartial = errors.New("some of its storage did not answer")
)

// isPartial tells whether VictoriaMetrics says so, in front of the data.
func isPartial(body []byte) bool {
	head, _, _ := bytes.Cut(body, []byte(`"data"`))
	return bytes.Contains(head, []byte(`"isPartial":true`))
}

// compare notes how far the server's clock is from ours. The header counts whole seconds: it is believed in their middle.
func (c *client) compare(response *http.Response, asked time.Time) {
	said, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return
	}
	answered := time.Now()
	middle := asked.Add(answered.Sub(asked) / 2)
	c.skew.Store(int64(said.Add(time.Second / 2).Sub(middle)))
}

// introduce adds what says who asks. Files and variables are read anew each time, for tokens change.
func (c *client) introduce(request *http.Request) error {
	if c.server.Tenant != "" {
		request.Header.Set("X-Scope-OrgID", c.server.Tenant)
	}
	switch {
	case c.server.BearerTokenFile != "":
		token, err := c.secret("bearer_token_file", c.server.BearerTokenFile)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
	case c.server.BearerTokenEnv != "":
		token := os.Getenv(c.server.BearerTokenEnv)
		if token == "" {
			return fmt.Errorf("bearer_token_env: the variable %s is not set", c.server.BearerTokenEnv)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	case c.server.Username != "":
		password, err := c.secret("password_file", c.server.PasswordFile)
		if err != nil {
			return err
		}
		request.SetBasicAuth(c.server.Username, password)
	}
	return nil
}

func (c *client) secret(key, path string) (string, error) {
	raw, err := os.ReadFile(beside(c.server, path))
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// beside is a path of a server's document.
func beside(server jenner.Prometheus, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(server.Dir, path)
}
