package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// maxControl bounds what the control endpoint reads, and what its client does.
const maxControl = 1 << 20

// controlHandler serves the proxy's control endpoint.
func controlHandler(faults *faultList) nethttp.Handler {
	mux := nethttp.NewServeMux()
	mux.HandleFunc("PUT /fault", func(w nethttp.ResponseWriter, request *nethttp.Request) {
		var fault proxyFault
		decoder := json.NewDecoder(nethttp.MaxBytesReader(w, request.Body, maxControl))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&fault)
		if _, more := decoder.Token(); err == nil && !errors.Is(more, io.EOF) {
			err = errors.New("something follows the fault")
		}
		if err == nil {
			err = faults.put(fault)
		}
		if err != nil {
			nethttp.Error(w, err.Error(), nethttp.StatusBadRequest)
			return
		}
		w.WriteHeader(nethttp.StatusNoContent)
	})
	mux.HandleFunc("DELETE /fault/{id}", func(w nethttp.ResponseWriter, request *nethttp.Request) {
		if !faults.remove(request.PathValue("id")) {
			nethttp.Error(w, "there is no fault "+request.PathValue("id"), nethttp.StatusNotFound)
			return
		}
		w.WriteHeader(nethttp.StatusNoContent)
	})
	mux.HandleFunc("GET /fault", func(w nethttp.ResponseWriter, _ *nethttp.Request) { giveJSON(w, faults.holding()) })
	mux.HandleFunc("GET /stats", func(w nethttp.ResponseWriter, _ *nethttp.Request) { giveJSON(w, faults.stats()) })
	return onlyLoopback(mux)
}

// onlyLoopback refuses callers from elsewhere, should the listener ever be reachable for them, and pages of a browser:
// those name themselves by Origin.
func onlyLoopback(next nethttp.Handler) nethttp.Handler {
	return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, request *nethttp.Request) {
		host, _, err := net.SplitHostPort(request.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || request.Header.Get("Origin") != "" {
			nethttp.Error(w, "only programs on this machine may control the fault proxy", nethttp.StatusForbidden)
			return
		}
		next.ServeHTTP(w, request)
	})
}

func giveJSON(w nethttp.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(jenner.Raw(value))
}

// controlClient reaches the control endpoint, which is on this machine: no proxy, no long waits.
var controlClient = &nethttp.Client{
	Timeout:   5 * time.Second,
	Transport: &nethttp.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
}

// proxyControl talks to the control endpoint of a fault proxy.
type proxyControl struct{ base string }

func (c proxyControl) put(ctx context.Context, fault proxyFault) error {
	_, err := c.ask(ctx, nethttp.MethodPut, "/fault", jenner.Raw(fault))
	return err
}

// errNoFault is the answer to taking away what is not there.
var errNoFault = errors.New("there is no such fault")

func (c proxyControl) remove(ctx context.Context, id string) error {
	_, err := c.ask(ctx, nethttp.MethodDelete, "/fault/"+url.PathEscape(id), nil)
	return err
}

func (c proxyControl) holding(ctx context.Context) (list []proxyFault, err error) {
	answer, err := c.ask(ctx, nethttp.MethodGet, "/fault", nil)
	if err == nil {
		err = json.Unmarshal(answer, &list)
	}
	return list, err
}

// stats are the counters of one fault; zero where the proxy does not know it.
func (c proxyControl) stats(ctx context.Context, id string) (faultStats, error) {
	answer, err := c.ask(ctx, nethttp.MethodGet, "/stats", nil)
	var list []faultStats
	if err == nil {
		err = json.Unmarshal(answer, &list)
	}
	for _, one := range list {
		if one.ID == id {
			return one, err
		}
	}
	return faultStats{ID: id}, err
}

func (c proxyControl) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := nethttp.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	response, err := controlClient.Do(request)
	if err != nil {
		return nil, jenner.Retryable(fmt.Errorf("the fault proxy does not answer: %w", err), "is it running?")
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxControl))
	switch {
	case err != nil:
		return nil, jenner.Retryable(fmt.Errorf("the fault proxy's answer broke off: %w", err), "")
	case response.StatusCode == nethttp.StatusNotFound && method == nethttp.MethodDelete:
		return nil, errNoFault
	case response.StatusCode >= 300:
		return nil, jenner.Permanent(fmt.Errorf("the fault proxy refused %s %s: %s", method, path, strings.TrimSpace(string(answer))), "")
	}
	return answer, nil
}
