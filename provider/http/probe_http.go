package http

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("http", "Does a URL answer with the expected status and body?", func() telemetry.Probe {
		return &ProbeHTTP{Method: http.MethodGet}
	})
}

// maxBody is how much of an answer is read, in bytes; body_contains looks no further.
const maxBody = 1 << 20

// ProbeHTTP asks one URL. Each call makes a new connection and closes it: a probe should also test connecting, and a
// connection that is kept would go on being answered by a process that takes no new ones. Environment variables for
// proxies are not heeded, for the question is about the service and not about a proxy.
type ProbeHTTP struct {
	// URL is what is asked, http or https.
	URL string `json:"url"`
	// Method is GET where not said.
	Method string `json:"method,omitempty"`
	// ExpectStatus are the right status codes; any from 200 to 299 where not said.
	ExpectStatus []int `json:"expect_status,omitempty"`
	// BodyContains must stand in the first MiB of the answer.
	BodyContains string `json:"body_contains,omitempty"`
	// Headers of the request; Host names the virtual host.
	Headers map[string]string `json:"headers,omitempty"`
	// Body of the request.
	Body string `json:"body,omitempty"`
	// FollowRedirects asks where a redirect leads, up to ten times. Without it the redirect itself is the answer.
	FollowRedirects bool `json:"follow_redirects,omitempty"`
}

// Validate checks the parameters without asking.
func (p *ProbeHTTP) Validate() error { return p.exchange().validate() }

// Probe asks once.
func (p *ProbeHTTP) Probe(ctx context.Context, _ telemetry.ProbeCall) telemetry.Result {
	client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true}}
	_, err := p.exchange().do(ctx, client)
	return telemetry.ResultOf(ctx, err)
}

func (p *ProbeHTTP) exchange() exchange {
	return exchange{
		method: cmp.Or(p.Method, http.MethodGet), url: p.URL, headers: p.Headers, body: p.Body,
		expectStatus: p.ExpectStatus, bodyContains: p.BodyContains, follow: p.FollowRedirects,
	}
}

// exchange is one request with what its answer must be.
type exchange struct {
	method, url, body, bodyContains string
	headers                         map[string]string
	expectStatus                    []int
	follow                          bool
}

// headerName is a token of RFC 9110, section 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (e exchange) validate() error {
	page, err := url.Parse(e.url)
	switch {
	case err != nil:
		return fmt.Errorf("url: %w", err)
	case page.Scheme != "http" && page.Scheme != "https", page.Host == "":
		return fmt.Errorf("url %q: write http://HOST:PORT/PATH or https://…", e.url)
	}
	if _, err := http.NewRequest(e.method, e.url, nil); err != nil {
		return fmt.Errorf("method %q: %w", e.method, err)
	}
	for _, status := range e.expectStatus {
		if status < 100 || status > 599 {
			return fmt.Errorf("expect_status: %d is no HTTP status; write 100 to 599", status)
		}
	}
	for name, value := range e.headers {
		if !headerName.MatchString(name) || strings.ContainsFunc(value, forbidden) {
			return fmt.Errorf("headers: %q: %q is not a header that can be sent", name, value)
		}
	}
	return nil
}

// do asks, and returns the body of a right answer. The error of a wrong one names request and answer.
func (e exchange) do(ctx context.Context, client *http.Client) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, e.method, e.url, strings.NewReader(e.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "jenner")
	for name, value := range e.headers {
		request.Header.Set(name, value)
		if strings.EqualFold(name, "Host") {
			request.Host = value
		}
	}
	asked := *client
	if !e.follow {
		asked.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	response, err := asked.Do(request)
	if err != nil {
		return nil, err // names method and URL already
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("%s %s: reading the answer: %w", e.method, e.url, err)
	}
	if err := e.judge(response.StatusCode, body); err != nil {
		return nil, fmt.Errorf("%s %s: %w", e.method, e.url, err)
	}
	return body, nil
}

func (e exchange) judge(status int, body []byte) error {
	right, expected := status/100 == 2, "2xx"
	if len(e.expectStatus) > 0 {
		right, expected = slices.Contains(e.expectStatus, status), strings.Trim(fmt.Sprint(e.expectStatus), "[]")
	}
	if !right {
		return fmt.Errorf("status %d, expected %s%s", status, expected, excerpt(body))
	}
	if !bytes.Contains(body, []byte(e.bodyContains)) {
		return fmt.Errorf("status %d, but the body does not contain %q%s", status, e.bodyContains, excerpt(body))
	}
	return nil
}

// forbidden tells the control characters that no header may hold, RFC 9110, section 5.5.
func forbidden(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// printable makes a blank of what could move a terminal's cursor.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}

// excerpt is the beginning of a body, for messages, on one line.
func excerpt(body []byte) string {
	const most = 120
	text := strings.Map(printable, strings.ToValidUTF8(string(body[:min(len(body), most)]), ""))
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return ""
	}
	return ": " + text
}
