package alarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// page is what the faults of this package share: each serves the page as long as it is held.
type page struct{ chaos.HeldElsewhere }

// served is what a fault reports.
type served struct {
	Pages  int64 `json:"pages"`            // that somebody has read
	Alarms int64 `json:"alarms"`           // on the last of them
	Most   int64 `json:"most"`             // on one of them
	Turns  int64 `json:"turns"`            // how often the alarms came or went, as somebody has read
	Silent bool  `json:"silent,omitempty"` // the page is gone again
}

// Checkpoint refuses a page that somebody else serves, or that cannot be served.
func (page) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	target, err := targetOf(call.Record.Target)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", target.Listen)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("nothing can be served there: %w", err), "choose another port, or end what listens on it")
	}
	return jenner.Raw(target.Listen), listener.Close()
}

// Fingerprint is whether somebody serves the page.
func (page) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	target, err := targetOf(call.Record.Target)
	if err != nil {
		return "", err
	}
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", target.Listen)
	if err != nil {
		return "nobody listens", nil
	}
	return "somebody listens", connection.Close()
}

// report is what the fault told last.
func report(call chaos.Call) (served, error) {
	var last served
	if len(call.Held.Report) == 0 {
		return last, nil
	}
	return last, json.Unmarshal(call.Held.Report, &last)
}

// cleanFor is how long the page waits for somebody to read that there is no alarm any more, and for how long it says so
// after that: whoever is to hear of it must read the page every second or more often, and look at what was read.
const cleanFor = 1500 * time.Millisecond

// display is what the page shows at a time after the beginning.
type display func(since time.Duration) (alarms int, on bool)

// serve serves the page until ctx ends, or until it is left behind after silentAfter, where that is not zero. In the end it
// says that there is no alarm, until somebody has read that: a page that is only gone would leave the alarms to those who
// have read of them, for no data is no good news.
func (page) serve(ctx context.Context, call chaos.Call, tell func(any), silentAfter time.Duration, shown display) error {
	target, err := targetOf(call.Record.Target)
	if err != nil {
		return err
	}
	desk := &desk{shown: shown, tell: tell, began: time.Now(), clean: make(chan struct{})}
	if err := desk.open(target.Listen); err != nil {
		return jenner.Permanent(err, "")
	}
	desk.say()
	var silence <-chan time.Time
	if silentAfter > 0 {
		timer := time.NewTimer(silentAfter)
		defer timer.Stop()
		silence = timer.C
	}
	select {
	case <-ctx.Done():
	case <-silence:
		if err := desk.silence(); err != nil {
			return err
		}
		<-ctx.Done()
		if err := desk.open(target.Listen); err != nil {
			return err
		}
	}
	return desk.end()
}

// desk serves one page.
type desk struct {
	shown display
	tell  func(any)
	began time.Time
	clean chan struct{} // somebody has read that there is no alarm any more

	mu     sync.Mutex
	server *http.Server
	last   served
	over   bool
}

func (d *desk) open(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: d}
	go func(server *http.Server) { _ = server.Serve(listener) }(d.server) // ends at Close
	return nil
}

// ServeHTTP gives the page, as it is at this moment.
func (d *desk) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	count, on := d.shown(time.Since(d.began))
	write(w, count, on && !d.over)
	if d.over {
		select {
		case <-d.clean:
		default:
			close(d.clean)
		}
		return
	}
	alarms := int64(0)
	if on {
		alarms = int64(count)
	}
	if d.last.Pages > 0 && (d.last.Alarms > 0) != on {
		d.last.Turns++
	}
	d.last.Pages, d.last.Alarms = d.last.Pages+1, alarms
	d.last.Most = max(d.last.Most, alarms)
	d.tell(d.last)
}

func (d *desk) say() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tell(d.last)
}

// silence leaves the alarms behind.
func (d *desk) silence() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last.Silent = true
	d.tell(d.last)
	return d.server.Close()
}

// end says that there is no alarm any more, for a while, and then serves nothing.
func (d *desk) end() error {
	d.mu.Lock()
	d.over = true
	read := d.last.Pages > 0
	d.mu.Unlock()
	if read {
		timer := time.NewTimer(cleanFor)
		defer timer.Stop()
		select {
		case <-d.clean:
			timer.Reset(cleanFor)
			<-timer.C
		case <-timer.C:
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(d.server.Shutdown(ctx), d.server.Close()) // Shutdown lets the one who reads it come to the end
}

// write writes a page with so many alarms, in the text format of Prometheus.
func write(w http.ResponseWriter, alarms int, on bool) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	value := 0
	if on {
		value = 1
	}
	fmt.Fprintf(w, "# TYPE jenner_alarm gauge\n")
	for i := range alarms {
		fmt.Fprintf(w, "jenner_alarm{alarm=\"%d\"} %d\n", i, value)
	}
}
