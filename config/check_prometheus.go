package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// prometheus checks one server.
func (c *checker) prometheus(server jenner.Prometheus) {
	d := c.document(kindPrometheus, server.Name, server.Source)
	if _, err := server.Address(); err != nil {
		d.problem("/url", "%v", err)
	}
	d.credentials(server)
	if server.Service != "" {
		d.unknown("/service", kindService, server.Service, d.index.services)
	}
	if channel := server.EscalationChannel; channel != "" && !slices.Contains(c.index.channels, channel) {
		d.naming(kindChannel).warn("/escalation_channel", "there is no channel %q, so pages go to the terminal and to a file%s", channel,
			strict.Hint(channel, c.index.channels))
	}
	if first := c.docs.Prometheus[0]; server.Default {
		for _, other := range c.docs.Prometheus {
			if other.Default {
				first = other
				break
			}
		}
		if first.Name != server.Name {
			d.problem("/default", "the server %s is the default already; at most one can be", first.Name)
		}
	}
	if timeout, every := server.Timeout.Or(jenner.DefaultServerTimeout), server.Every.Or(jenner.DefaultServerEvery); timeout > every {
		d.warn("/timeout", "a question may take %s but rules ask every %s; later questions wait for earlier ones",
			jenner.Duration(timeout), jenner.Duration(every))
	}
	if age, every := server.MaxAge.Or(jenner.DefaultServerMaxAge), server.Every.Or(jenner.DefaultServerEvery); age < every {
		d.problem("/max_age", "numbers older than %s are no data, but rules ask only every %s", jenner.Duration(age), jenner.Duration(every))
	}
	for _, label := range slices.Sorted(maps.Keys(server.Labels)) {
		if !model.UTF8Validation.IsValidLabelName(label) {
			d.problem(strict.Join("/labels", label), "%q is no name of a label", label)
		}
	}
	asks := func(s jenner.Service) bool { return s.Prometheus == server.Name }
	if !server.Default && !slices.ContainsFunc(c.docs.Services, asks) {
		d.about(kindService).warn("/name", "nothing asks the server %s; name it in a service, prometheus: %s, or write default: true",
			server.Name, server.Name)
	}
}

func (d document) credentials(server jenner.Prometheus) {
	var ways []string
	for _, way := range []struct{ key, value string }{{"bearer_token_file", server.BearerTokenFile},
		{"bearer_token_env", server.BearerTokenEnv}, {"username", server.Username}} {
		if way.value != "" {
			ways = append(ways, way.key)
		}
	}
	if len(ways) > 1 {
		d.problem(strict.Join("", ways[1]), "there are %d credentials, %s; write one of them", len(ways), strings.Join(ways, " and "))
	}
	switch {
	case server.Username != "" && server.PasswordFile == "":
		d.problem("/username", "username needs password_file beside it")
	case server.Username == "" && server.PasswordFile != "":
		d.problem("/password_file", "password_file needs username beside it")
	}
	if server.Insecure && server.CAFile != "" {
		d.problem("/insecure", "insecure believes any certificate, so ca_file means nothing; write one of them")
	}
	if server.Insecure && strings.HasPrefix(server.URL, "https:") {
		d.warn("/insecure", "whoever stands between here and the server %s can answer in its place; write ca_file", server.Name)
	}
}

// asked checks which server a service's PromQL is asked of.
func (d document) asked(service jenner.Service) {
	if service.Prometheus == "" {
		return
	}
	d.unknown("/prometheus", kindPrometheus, service.Prometheus, d.index.servers)
	for i, source := range service.Metrics {
		if source.Scrape != "" {
			d.problem(fmt.Sprintf("/metrics/%d/scrape", i), "the PromQL of %s is asked of the server %s, so nobody reads this page; remove it, or prometheus",
				service.Name, service.Prometheus)
		}
	}
}

// catalogue checks one catalogue. That its rules are right was seen when it was read.
func (c *checker) catalogue(catalogue jenner.Catalogue) {
	d := c.document(kindCatalogue, fmt.Sprintf("%s:%d", catalogue.Source.File, catalogue.Source.Line), catalogue.Source)
	server, remote := c.docs.Server(jenner.Service{})
	for i, group := range catalogue.Groups {
		base := fmt.Sprintf("/groups/%d", i)
		if group.QueryOffset > 0 {
			d.warn(base+"/query_offset", "query_offset of group %s is passed over: its rules are asked about the present", group.Name)
		}
		if age := server.MaxAge.Or(jenner.DefaultServerMaxAge); remote && group.Interval.Std() > age {
			d.warn(base+"/interval", "group %s is evaluated every %s, and what it records is no data after %s, the max_age of the server %s",
				group.Name, group.Interval, jenner.Duration(age), server.Name)
		}
	}
}
