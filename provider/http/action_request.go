package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("request", "Send an HTTP request", func() act.Action { return &Request{Method: nethttp.MethodPost} })
}

// Request sends one HTTP request, with the step's key as Idempotency-Key. Redirects are not followed: they are answers
// like any other. It is over when the answer's body was read to its end.
type Request struct {
	// Method is POST where not said.
	Method string `json:"method,omitempty"`
	// URL is absolute, or relative to the url of a target of kind http.
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	// ExpectStatus is the one answer that counts as success; any of 200 to 299 where not said.
	ExpectStatus int `json:"expect_status,omitempty"`
	// Idempotent says that the service does the same request only once, by its method or its Idempotency-Key: then it
	// may be sent again after a failure, and after a crash of Jenner.
	Idempotent bool `json:"idempotent,omitempty"`
}

// answer is the output.
type answer struct {
	Status int    `json:"status"`
	Body   string `json:"body,omitempty"` // at most 16 KiB
}

const maxAnswer = 16 << 10

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// Validate checks the parameters.
func (r *Request) Validate() error {
	if !slices.Contains(methods, r.Method) {
		return fmt.Errorf("unknown method %q; known: %s", r.Method, strings.Join(methods, ", "))
	}
	if r.URL == "" {
		return errors.New("url is missing")
	}
	if parsed, err := url.Parse(r.URL); err != nil || parsed.Scheme != "" && parsed.Host == "" {
		return fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080/path", r.URL)
	}
	if r.ExpectStatus != 0 && (r.ExpectStatus < 200 || r.ExpectStatus > 599) {
		return fmt.Errorf("expect_status %d is no status that ends a request; write 200 to 599", r.ExpectStatus)
	}
	return nil
}

// Do sends the request once.
func (r *Request) Do(ctx context.Context, call act.Call) (act.Result, error) {
	address, err := r.address(call.Target)
	if err != nil {
		return act.Result{}, jenner.Permanent(err, "")
	}
	request, err := nethttp.NewRequestWithContext(ctx, r.Method, address, strings.NewReader(r.Body))
	if err != nil {
		return act.Result{}, jenner.Permanent(err, "")
	}
	for name, value := range r.Headers {
		request.Header.Set(name, value)
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	request.Header.Set("Idempotency-Key", call.Key)
	response, err := plainClient.Do(request)
	if err != nil {
		return act.Result{}, r.broken(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return act.Result{}, r.broken(ctx, err)
	}
	got := answer{response.StatusCode, string(body)}
	result := act.Result{Summary: fmt.Sprintf("%s %s answered %d", r.Method, address, got.Status), Changed: !safe(r.Method), Output: got}
	return result, r.judge(got, result.Summary)
}

// judge makes an error of an answer that is not the expected one.
func (r *Request) judge(got answer, summary string) error {
	if got.Status == r.ExpectStatus || r.ExpectStatus == 0 && got.Status/100 == 2 {
		return nil
	}
	err := fmt.Errorf("%s: %.200s", summary, strings.TrimSpace(got.Body))
	passing := got.Status >= 500 || got.Status == nethttp.StatusTooManyRequests
	if passing && r.repeatable() {
		return jenner.Retryable(err, "")
	}
	if got.Status >= 500 {
		return jenner.ForHuman(err, "it may have had its effect all the same; write idempotent: true if it can be sent twice")
	}
	return jenner.Permanent(err, "")
}

// broken makes an error of a request without an answer. One that found no connection was never sent.
func (r *Request) broken(ctx context.Context, err error) error {
	var dial *net.OpError
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	if errors.As(err, &dial) && dial.Op == "dial" || r.repeatable() {
		return jenner.Retryable(fmt.Errorf("no answer: %w", err), "")
	}
	return jenner.ForHuman(fmt.Errorf("no answer: %w", err), "nobody can tell whether it had its effect; write idempotent: true if it can be sent twice")
}

// Happened cannot be known of a request that was under way. One that may be sent twice counts as not done: it is sent
// again, with the same key.
func (r *Request) Happened(context.Context, act.Call) (act.Happened, error) {
	if r.repeatable() {
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

// repeatable tells whether sending it twice is as sending it once, by what was written or by its method (RFC 9110, 9.2.2).
func (r *Request) repeatable() bool {
	return r.Idempotent || safe(r.Method) || r.Method == nethttp.MethodPut || r.Method == nethttp.MethodDelete
}

// safe tells whether the method asks only (RFC 9110, 9.2.1).
func safe(method string) bool {
	return method == nethttp.MethodGet || method == nethttp.MethodHead || method == nethttp.MethodOptions
}

func (r *Request) address(target jenner.Target) (string, error) {
	written, err := url.Parse(r.URL)
	if err != nil {
		return "", err
	}
	if written.IsAbs() {
		return r.URL, nil
	}
	if target.Kind != "http" {
		return "", fmt.Errorf("url %s is relative, and the step's target is not of kind http; write it in full", r.URL)
	}
	t, err := decodeTarget(target)
	if err != nil {
		return "", err
	}
	base, err := absoluteURL(t.URL)
	if err != nil {
		return "", fmt.Errorf("url %s is relative, and target %s has no url: %w", r.URL, target.Ref(), err)
	}
	return base.ResolveReference(written).String(), nil
}

// plainClient keeps no connections: an action is rare, and a kept connection may be dead by then.
var plainClient = &nethttp.Client{
	CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error { return nethttp.ErrUseLastResponse },
	Transport:     &nethttp.Transport{Proxy: nethttp.ProxyFromEnvironment, DisableKeepAlives: true},
}
