package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// peerURL is the flag for the base URL of another role. Unset, that role is at its own port on our --host.
type peerURL struct {
	name, set string
	port      int
}

func peerFlag(fs *flag.FlagSet, name string, port int, about string) *peerURL {
	u := &peerURL{name: name, port: port}
	fs.Var(u, name, "base `URL` of "+about)
	return u
}

func (u *peerURL) String() string {
	if u.set == "" {
		return "http://HOST:" + strconv.Itoa(u.port)
	}
	return u.set
}

func (u *peerURL) Set(s string) error {
	parsed, err := url.Parse(s)
	if err != nil || parsed.Scheme != "http" || parsed.Host == "" || (parsed.Path != "" && parsed.Path != "/") {
		return errors.New("not a base URL such as http://127.0.0.1:18080")
	}
	u.set = "http://" + parsed.Host
	return nil
}

// peer is another role as we call it.
type peer struct {
	name, base string
	client     *http.Client
}

// peer resolves the flag. It is called once the flags are parsed.
func (p *process) peer(u *peerURL) *peer {
	base := u.set
	if base == "" {
		base = "http://" + net.JoinHostPort(string(p.options.host), strconv.Itoa(u.port))
	}
	return &peer{name: u.name, base: base, client: p.client}
}

// newClient keeps enough idle connections for the usual traffic, and forgets them before the servers do.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}}
}

// post sends in to the peer and decodes the answer into out. An error is a *failure with code 502 that names the peer
// and, where the peer told, its reason. The Idempotency-Key lets the transport try again when a kept connection
// turns out to be dead, which every restart of the peer causes.
func (p *peer) post(ctx context.Context, timeout time.Duration, path, id string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", id)
	if err := p.do(request, out); err != nil {
		return &failure{code: http.StatusBadGateway, dependency: p.name, err: err}
	}
	return nil
}

// do sends a request and decodes a 200 into out.
func (p *peer) do(request *http.Request, out any) error {
	code, body, err := p.fetch(request)
	if err != nil {
		return err
	}
	if code == http.StatusOK {
		return json.Unmarshal(body, out)
	}
	var told failureBody
	if json.Unmarshal(body, &told) != nil || told.Error == "" {
		return fmt.Errorf("answered %d", code)
	}
	return fmt.Errorf("answered %d: %s", code, told.Error)
}

// fetch sends a request and reads the answer to its end, so that the connection can be used again.
func (p *peer) fetch(request *http.Request) (code int, body []byte, err error) {
	response, err := p.client.Do(request)
	if err != nil {
		return 0, nil, cause(err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return 0, nil, cause(err)
	}
	return response.StatusCode, body, nil
}

// cause drops the method and URL that the client wraps around an error, and says plainly what the end of a context means.
func cause(err error) error {
	switch wrapped := (*url.Error)(nil); {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.Is(err, context.Canceled):
		return errors.New("the caller gave up")
	case errors.As(err, &wrapped):
		return wrapped.Err
	}
	return err
}
