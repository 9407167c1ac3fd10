package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// collect asks the provider's source and gives what writes its numbers.
func (s *source) collect(ctx context.Context) (appender, error) {
	samples, err := s.from.Collect(ctx, SourceCall{s.service})
	if err == nil {
		err = context.Cause(ctx) // numbers that came too late are of no known time
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.id.kind, err)
	}
	return func(app storage.AppenderV2, at time.Time, newest map[storage.SeriesRef]int64) error {
		for _, sample := range samples {
			if !model.LegacyValidation.IsValidMetricName(sample.Name) {
				return fmt.Errorf("source %s: %q is no name of a metric", s.id.kind, sample.Name)
			}
			one := s.given(sample)
			if labels.Equal(one.labels, s.up.labels) || labels.Equal(one.labels, s.took.labels) {
				s.store.dropped.Add(1) // whether it is up is not the source's to say
				continue
			}
			if err := s.appendSample(app, one, at, sample.Value, newest); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// given is the series of a sample, from the last round or made anew.
func (s *source) given(sample Sample) *scraped {
	var line strings.Builder
	line.WriteString(sample.Name)
	for _, name := range slices.Sorted(maps.Keys(sample.Labels)) {
		fmt.Fprintf(&line, "\x00%s\x00%s", name, sample.Labels[name])
	}
	key := line.String()
	if one := s.series[key]; one != nil {
		one.seen = s.round
		return one
	}
	set := maps.Clone(sample.Labels)
	if set == nil {
		set = map[string]string{}
	}
	for name, ours := range s.fixed {
		if theirs := set[name]; theirs != "" {
			set["exported_"+name] = theirs
		}
		set[name] = ours
	}
	set[model.MetricNameLabel] = sample.Name
	one := &scraped{labels: labels.FromMap(set), seen: s.round}
	s.series[key] = one
	return one
}

// letGo ends what the source kept open.
func (s *source) letGo() {
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	if closer, ok := s.from.(Closer); ok {
		closer.Close()
	}
}

// errNoSource is what is wrong with an entry that names neither a page nor a source.
var errNoSource = errors.New("write scrape: URL, or the key of a source with its settings below it")
