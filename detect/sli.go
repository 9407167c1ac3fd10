package detect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

var (
	errNoData     = errors.New("no data")
	errManySeries = errors.New("too many series")
)

// sliWatch is one SLI that is sampled.
type sliWatch struct {
	service jenner.Service
	sli     jenner.SLI
	since   time.Time // since when it is out of bounds without a break; zero: it is not, as far as is known
	server  string    // that it is asked of; empty: Jenner's own numbers
}

func (e *Engine) setSLIs(docs *jenner.Documents) {
	before := e.slis
	e.slis = map[string]*sliWatch{}
	for _, service := range docs.Services {
		for _, sli := range service.SLIs {
			key := sliKey(service.Name, sli.Name)
			server, _ := docs.Server(service)
			watch := &sliWatch{service: service, sli: sli, server: server.Name}
			if old := before[key]; old != nil && old.sli.PromQL == sli.PromQL {
				watch.since = old.since
			}
			e.slis[key] = watch
		}
	}
}

// sample takes one sample of an SLI, learns from it, and judges it.
func (e *Engine) sample(ctx context.Context, watch *sliWatch) {
	if watch.server == "" { // a server has a timeout of its own
		limited, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		ctx = limited
	}
	service, now := watch.service.Name, e.now()
	quiet := len(e.board.Firing(service)) == 0
	if !quiet {
		e.steady.Disturbed(service)
	}
	value, err := measure(ctx, e.telemetry, service, watch.sli)
	if errors.Is(err, errManySeries) {
		e.warnOnce("an SLI has no single value, so it is neither learned nor judged",
			"service", service, "sli", watch.sli.Name, "error", err)
	}
	hold := watch.sli.For.Std()
	if err != nil {
		if !watch.since.IsZero() && now.Sub(watch.since) >= hold {
			watch.since = time.Time{} // as a rule's noData has it
		}
		return
	}
	if quiet {
		e.steady.Observe(service, watch.sli.Name, value, now)
	}
	bounds, known := e.steady.Bounds(service, watch.sli.Name)
	if !known || hold <= 0 {
		return
	}
	e.judge(watch, value, bounds, now)
}

func (e *Engine) judge(watch *sliWatch, value float64, bounds Bounds, now time.Time) {
	service, name := watch.service.Name, PrefixSLI+watch.sli.Name
	alert := jenner.Alert{
		Fingerprint: jenner.Fingerprint(string(jenner.AlertSLI), service, name),
		Name:        name, Kind: jenner.AlertSLI, Service: service, Target: firstTarget(watch.service),
		Status: jenner.Resolved, Severity: jenner.SeverityPage, StartsAt: now, SeenAt: now,
		Labels: map[string]string{"service": service, "sli": watch.sli.Name}, Value: value,
	}
	if bounds.Holds(value) {
		watch.since = time.Time{}
		e.board.Put(alert)
		return
	}
	if watch.since.IsZero() {
		watch.since = now
	}
	before, known := e.board.Get(alert.Fingerprint)
	firing := known && before.Status == jenner.Firing
	if firing || now.Sub(watch.since) >= watch.sli.For.Std() {
		alert.Status = jenner.Firing
		alert.Summary = fmt.Sprintf("SLI %s of %s is %.4g, normal is %s", watch.sli.Name, service, value, bounds.text())
		e.board.Put(alert)
	}
}
