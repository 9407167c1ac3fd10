package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("traffic", "Send a peak of requests to the service", func() chaos.Fault {
		return &FaultTraffic{Method: nethttp.MethodGet, Path: "/", AtOnce: 100}
	}, "http")
}

// maxTraffic is the absolute cap of requests a second.
const maxTraffic = 5000

// FaultTraffic sends requests to the service at a steady rate, whatever it answers, on top of what others send. Once as
// many as may be are under way, those that are due are dropped and counted. It needs no root and leaves nothing.
type FaultTraffic struct {
	chaos.HeldElsewhere
	Rate    int               `json:"rate"`              // requests a second, 1 to 5000
	AtOnce  int               `json:"at_once,omitempty"` // requests under way at the same time, 1 to 5000
	Method  string            `json:"method,omitempty"`
	Path    string            `json:"path,omitempty"` // below the target's url
	Body    string            `json:"body,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// traffic is what the holder tells.
type traffic struct {
	Sent     int64 `json:"sent"`
	Answered int64 `json:"answered"` // with a status below 500
	Failed   int64 `json:"failed"`   // with one of 500 and more, or not at all
	Dropped  int64 `json:"dropped"`  // due, and not sent since too many were under way
}

// Validate checks the parameters.
func (f *FaultTraffic) Validate() error {
	switch {
	case f.Rate < 1 || f.Rate > maxTraffic:
		return fmt.Errorf("rate %d is not between 1 and %d requests a second", f.Rate, maxTraffic)
	case f.AtOnce < 1 || f.AtOnce > maxTraffic:
		return fmt.Errorf("at_once %d is not between 1 and %d", f.AtOnce, maxTraffic)
	case !strings.HasPrefix(f.Path, "/"):
		return fmt.Errorf("path %q does not begin with /", f.Path)
	}
	_, err := nethttp.NewRequest(f.Method, "http://x"+f.Path, nil)
	return err
}

// Checkpoint refuses a target that does not answer: a peak on what is down shows nothing.
func (f *FaultTraffic) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	address, err := f.address(call)
	if err != nil {
		return nil, err
	}
	client, hangUp := f.client()
	defer hangUp()
	if !f.once(ctx, client, address) {
		return nil, jenner.Permanent(fmt.Errorf("%s %s gives no answer below 500", f.Method, address), "it must be well before the peak")
	}
	return jenner.Raw(traffic{}), nil
}

// Bite asks how many requests were sent: a tenth of a second's worth is a peak that has begun.
func (f *FaultTraffic) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	var told traffic
	if len(call.Held.Report) > 0 {
		if err := json.Unmarshal(call.Held.Report, &told); err != nil {
			return chaos.Witness{}, err
		}
	}
	return chaos.Witness{Bit: told.Sent > 0 && told.Sent >= int64(f.Rate/10), Saw: fmt.Sprintf("%d requests sent, %d answered, %d failed, %d dropped",
		told.Sent, told.Answered, told.Failed, told.Dropped)}, nil
}

// Hold sends requests until ctx ends.
func (f *FaultTraffic) Hold(ctx context.Context, call chaos.Call, tell func(report any)) error {
	address, err := f.address(call)
	if err != nil {
		return err
	}
	client, hangUp := f.client()
	defer hangUp()
	var underWay sync.WaitGroup
	defer underWay.Wait()
	var answered, failed, dropped, sent atomic.Int64
	told := func() traffic { return traffic{sent.Load(), answered.Load(), failed.Load(), dropped.Load()} }
	tell(told())
	room := make(chan struct{}, f.AtOnce)
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for due := int64(0); ; tell(told()) {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for until := int64(time.Since(began).Seconds() * float64(f.Rate)); due < until; due++ {
			select {
			case room <- struct{}{}:
			default:
				dropped.Add(1)
				continue
			}
			sent.Add(1)
			underWay.Go(func() {
				defer func() { <-room }()
				if f.once(ctx, client, address) {
					answered.Add(1)
				} else {
					failed.Add(1)
				}
			})
		}
	}
}

// once sends one request and tells whether it was answered with a status below 500.
func (f *FaultTraffic) once(ctx context.Context, client *nethttp.Client, address string) bool {
	request, err := nethttp.NewRequestWithContext(ctx, f.Method, address, strings.NewReader(f.Body))
	if err != nil {
		return false
	}
	for name, value := range f.Headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return err == nil && response.StatusCode < 500
}

func (f *FaultTraffic) client() (*nethttp.Client, func()) {
	transport := &nethttp.Transport{MaxIdleConnsPerHost: f.AtOnce}
	return &nethttp.Client{Timeout: 10 * time.Second, Transport: transport}, transport.CloseIdleConnections
}

func (f *FaultTraffic) address(call chaos.Call) (string, error) {
	target, err := decodeTarget(call.Record.Target)
	if err != nil {
		return "", err
	}
	if target.URL == "" {
		return "", jenner.Permanent(errors.New("the target has no url to send requests to"), "write url: http://host:port")
	}
	base, err := url.Parse(target.URL)
	if err != nil {
		return "", jenner.Permanent(err, "")
	}
	return base.JoinPath(f.Path).String(), nil
}
