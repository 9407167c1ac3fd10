package telemetry

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner"
)

// Source gives the present numbers of something that has no metrics page, such as a database. The type that fulfils
// Source holds its parameters in exported fields with `json` tags. The same value is asked again and again, one call at
// a time.
type Source interface {
	// Collect asks once. ctx ends after the source's period, 10 s at most. An error means that nothing is known: the
	// series end and `up` is 0, as with a page that cannot be scraped. Numbers beside an error are dropped.
	Collect(ctx context.Context, call SourceCall) ([]Sample, error)
}

// The optional halves of a source. Beside them a source may be a Validator.
type (
	// Instancer says what the label `instance` is, such as HOST:PORT. Without it, it is the source's key. The parameters
	// of call alone must tell it; nothing may be asked.
	Instancer interface {
		Instance(call SourceCall) (string, error)
	}

	// Closer lets go of what a source keeps between two calls, such as a connection. It is called once, after the last one.
	Closer interface{ Close() }
)

// SourceCall is what a source is told.
type SourceCall struct {
	Service jenner.Service // the one in whose document the source stands
}

// Sample is one number that a source gave. Its time is that of the call.
type Sample struct {
	Name   string            // of the metric
	Labels map[string]string // without service and instance, which are added
	Value  float64
}

// build makes the source of a document and finds its instance.
func (s *Scraper) build(service jenner.Service, metrics jenner.MetricsSource) (Source, string, error) {
	if s.opts.Build == nil {
		return nil, "", fmt.Errorf("nobody here knows the source %q", metrics.Kind)
	}
	from, err := s.opts.Build(service, metrics)
	if err != nil {
		return nil, "", err
	}
	if namer, ok := from.(Instancer); ok {
		instance, err := namer.Instance(SourceCall{service})
		return from, instance, err
	}
	return from, metrics.Kind, nil
}
