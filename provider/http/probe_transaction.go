package http

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("transaction", "Do several requests in a row work, as a user would do them?", func() telemetry.Probe {
		return &ProbeTransaction{}
	})
}

// ProbeTransaction does what a user does: one request after the other, with the cookies that the answers set, over
// connections that are kept from one step to the next but not from one transaction to the next. It fails at the first
// step that fails, and names it. The timeout of the probe is that of the whole transaction.
type ProbeTransaction struct {
	// Steps are done in this order.
	Steps []Step `json:"steps"`
}

// Step is one request of a transaction. URL, headers, body and body_contains may hold ${NAME} for what an earlier step
// saved; it is put in as it is, without any escaping.
type Step struct {
	// Name is what messages call the step.
	Name string `json:"name"`
	// Method is GET where not said.
	Method string `json:"method,omitempty"`
	// URL is what is asked, http or https.
	URL string `json:"url"`
	// Headers of the request; Host names the virtual host.
	Headers map[string]string `json:"headers,omitempty"`
	// Body of the request.
	Body string `json:"body,omitempty"`
	// ExpectStatus are the right status codes; any from 200 to 299 where not said.
	ExpectStatus []int `json:"expect_status,omitempty"`
	// BodyContains must stand in the first MiB of the answer.
	BodyContains string `json:"body_contains,omitempty"`
	// FollowRedirects asks where a redirect leads, up to ten times. Without it the redirect itself is the answer.
	FollowRedirects bool `json:"follow_redirects,omitempty"`
	// Save keeps parts of the answer for later steps, by name. What begins with a slash is a JSON pointer (RFC 6901)
	// to a string, number or truth value; anything else is a regular expression, of which the first group is kept, or
	// the whole match where it has no group. A part that is not there fails the step.
	Save map[string]string `json:"save,omitempty"`
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// Validate checks the steps without asking: also that each variable was saved by an earlier step.
func (p *ProbeTransaction) Validate() error {
	if len(p.Steps) == 0 {
		return errors.New("steps is empty; write at least one")
	}
	names, saved := map[string]bool{}, map[string]string{}
	for i, step := range p.Steps {
		if step.Name == "" || names[step.Name] {
			return fmt.Errorf("step %d: its name %q is empty or taken; messages call the step by it", i+1, step.Name)
		}
		names[step.Name] = true
		if err := step.validate(saved); err != nil {
			return fmt.Errorf("step %s: %w", step.Name, err)
		}
		for name := range step.Save {
			saved[name] = "1" // stands for a value: good within a port as within a path
		}
	}
	return nil
}

func (s Step) validate(saved map[string]string) error {
	filled, err := s.exchange(saved)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Save)) {
		if mark := "${" + name + "}"; variable.FindString(mark) != mark {
			return fmt.Errorf("save: %q is no name; write letters, digits and _", name)
		}
		if what := s.Save[name]; what == "" {
			return fmt.Errorf("save: %s is empty; write a JSON pointer or a regular expression", name)
		} else if _, err := regexp.Compile(what); err != nil && !strings.HasPrefix(what, "/") {
			return fmt.Errorf("save: %s: %w", name, err)
		}
	}
	if strings.HasPrefix(s.URL, "${") {
		filled.url = "http://known.only.then/" // the variable may hold a whole URL
	}
	return filled.validate()
}

// Probe does all steps once.
func (p *ProbeTransaction) Probe(ctx context.Context, _ telemetry.ProbeCall) telemetry.Result {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Jar: jar}
	saved := map[string]string{}
	for i, step := range p.Steps {
		if err := step.do(ctx, client, saved); err != nil {
			return telemetry.ResultOf(ctx, fmt.Errorf("step %s (%d of %d): %w", step.Name, i+1, len(p.Steps), err))
		}
	}
	return telemetry.Result{Outcome: telemetry.OK}
}

func (s Step) do(ctx context.Context, client *http.Client, saved map[string]string) error {
	filled, err := s.exchange(saved)
	if err != nil {
		return err
	}
	body, err := filled.do(ctx, client)
	if err != nil {
		return err
	}
	for name, what := range s.Save {
		value, err := pick(body, what)
		if err != nil {
			return fmt.Errorf("%s %s: save %s: %w%s", filled.method, filled.url, name, err, excerpt(body))
		}
		saved[name] = value
	}
	return nil
}

// exchange is the step with its variables filled in.
func (s Step) exchange(saved map[string]string) (exchange, error) {
	var missing error
	fill := func(text string) string {
		return variable.ReplaceAllStringFunc(text, func(found string) string {
			value, ok := saved[found[2:len(found)-1]]
			if !ok {
				missing = fmt.Errorf("no earlier step saves %s", found)
			}
			return value
		})
	}
	headers := make(map[string]string, len(s.Headers))
	for name, value := range s.Headers {
		headers[name] = fill(value)
	}
	return exchange{
		method: cmp.Or(s.Method, http.MethodGet), url: fill(s.URL), headers: headers, body: fill(s.Body),
		expectStatus: s.ExpectStatus, bodyContains: fill(s.BodyContains), follow: s.FollowRedirects,
	}, missing
}

// pick takes a part out of a body by JSON pointer or regular expression.
func pick(body []byte, what string) (string, error) {
	if strings.HasPrefix(what, "/") {
		return pointed(body, what)
	}
	pattern, err := regexp.Compile(what)
	if err != nil {
		return "", err
	}
	groups := pattern.FindSubmatch(body)
	if groups == nil {
		return "", fmt.Errorf("the answer has no match for %s", what)
	}
	return string(groups[min(1, len(groups)-1)]), nil
}

// pointed follows a JSON pointer, RFC 6901.
func pointed(body []byte, pointer string) (string, error) {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber() // a long id must not come back as 1e+18
	var at any
	if err := decoder.Decode(&at); err != nil {
		return "", fmt.Errorf("the answer is not JSON: %w", err)
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, token := range strings.Split(pointer[1:], "/") {
		next, ok := child(at, unescape.Replace(token))
		if !ok {
			return "", fmt.Errorf("the answer has nothing at %s", pointer)
		}
		at = next
	}
	switch value := at.(type) {
	case string:
		return value, nil
	case json.Number, bool:
		return fmt.Sprint(value), nil
	default:
		return "", fmt.Errorf("the answer has no text, number or truth value at %s", pointer)
	}
}

func child(of any, token string) (any, bool) {
	switch whole := of.(type) {
	case map[string]any:
		value, ok := whole[token]
		return value, ok
	case []any:
		index, err := strconv.Atoi(token)
		if err != nil || index < 0 || index >= len(whole) || strconv.Itoa(index) != token { // neither +1 nor 01
			return nil, false
		}
		return whole[index], true
	default:
		return nil, false
	}
}
