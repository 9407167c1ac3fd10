package config

import (
	"maps"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// The kinds of documents.
const (
	kindService    = "service"
	kindSignature  = "signature"
	kindRunbook    = "runbook"
	kindPolicy     = "policy"
	kindExperiment = "experiment"
	kindGameday    = "gameday"
	kindChannel    = "channel"
	kindTeam       = "team"
	kindCalendar   = "calendar"
	kindMapping    = "mapping"
	kindReceiver   = "receiver"
	kindPrometheus = "prometheus"
	kindCatalogue  = "catalogue" // its documents are named after their place
	kindLimits     = "limits"    // at most one, and without a name
)

// kindTypes are the types that the kinds are decoded into.
var kindTypes = map[string]reflect.Type{
	kindService:    reflect.TypeFor[jenner.Service](),
	kindSignature:  reflect.TypeFor[jenner.Signature](),
	kindRunbook:    reflect.TypeFor[jenner.Runbook](),
	kindPolicy:     reflect.TypeFor[jenner.Policy](),
	kindExperiment: reflect.TypeFor[jenner.Experiment](),
	kindGameday:    reflect.TypeFor[jenner.Gameday](),
	kindChannel:    reflect.TypeFor[jenner.Channel](),
	kindTeam:       reflect.TypeFor[jenner.Team](),
	kindCalendar:   reflect.TypeFor[jenner.Calendar](),
	kindMapping:    reflect.TypeFor[jenner.Mapping](),
	kindReceiver:   reflect.TypeFor[jenner.Receiver](),
	kindPrometheus: reflect.TypeFor[jenner.Prometheus](),
	kindCatalogue:  reflect.TypeFor[jenner.Catalogue](),
	kindLimits:     reflect.TypeFor[jenner.Limits](),
}

// telling are keys that only one kind of document has at its top, so that it need not say its kind.
var telling = []struct{ key, kind string }{
	{"steps", kindRunbook},
	{wrapper, kindPolicy},
	{"members", kindTeam},
	{"ics", kindCalendar},
	{"max_targets_at_once", kindLimits},
	{"max_targets_of_service", kindLimits},
	{"groups", kindCatalogue},
}

// Kinds are the kinds of documents, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kindTypes)) }

// adder decodes the fields of one document and adds it to all documents.
type adder func(all *jenner.Documents, fields *yaml.Node, dir string, source jenner.Source) (
	lines strict.Positions, name string, problems []strict.Problem)

var adders = map[string]adder{
	kindService: func(all *jenner.Documents, fields *yaml.Node, dir string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		service := jenner.Service{Source: source}
		lines, problems := strict.Node(fields, &service)
		for i := range service.Targets {
			service.Targets[i].Dir = dir
		}
		all.Services = append(all.Services, service)
		return lines, service.Name, problems
	},
	kindSignature: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		signature := jenner.Signature{Source: source}
		lines, problems := strict.Node(fields, &signature)
		all.Signatures = append(all.Signatures, signature)
		return lines, signature.Name, problems
	},
	kindRunbook: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		book := jenner.Runbook{Source: source}
		lines, problems := strict.Node(fields, &book)
		all.Runbooks = append(all.Runbooks, book)
		return lines, book.Name, problems
	},
	kindPolicy: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		policy := jenner.Policy{Source: source}
		lines, problems := strict.Node(fields, &policy)
		if _, named := lines["/name"]; !named {
			policy.Name = string(policy.IncidentType)
		}
		all.Policies = append(all.Policies, policy)
		return lines, policy.Name, problems
	},
	kindExperiment: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		experiment := jenner.Experiment{Source: source}
		lines, problems := strict.Node(fields, &experiment)
		all.Experiments = append(all.Experiments, experiment)
		return lines, experiment.Name, problems
	},
	kindGameday: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		gameday := jenner.Gameday{Source: source}
		lines, problems := strict.Node(fields, &gameday)
		all.Gamedays = append(all.Gamedays, gameday)
		return lines, gameday.Name, problems
	},
	kindChannel: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		channel := jenner.Channel{Source: source}
		lines, problems := strict.Node(fields, &channel)
		all.Channels = append(all.Channels, channel)
		return lines, channel.Name, problems
	},
	kindTeam: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		team := jenner.Team{Source: source}
		lines, problems := strict.Node(fields, &team)
		all.Teams = append(all.Teams, team)
		return lines, team.Name, problems
	},
	kindCalendar: func(all *jenner.Documents, fields *yaml.Node, dir string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		calendar := jenner.Calendar{Source: source, Dir: dir}
		lines, problems := strict.Node(fields, &calendar)
		all.Calendars = append(all.Calendars, calendar)
		return lines, calendar.Name, problems
	},
	kindMapping: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		mapping := jenner.Mapping{Source: source}
		lines, problems := strict.Node(fields, &mapping)
		all.Mappings = append(all.Mappings, mapping)
		return lines, mapping.Name, problems
	},
	kindReceiver: func(all *jenner.Documents, fields *yaml.Node, dir string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		receiver := jenner.Receiver{Source: source, Dir: dir}
		lines, problems := strict.Node(fields, &receiver)
		all.Receivers = append(all.Receivers, receiver)
		return lines, receiver.Name, problems
	},
	kindPrometheus: func(all *jenner.Documents, fields *yaml.Node, dir string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		server := jenner.Prometheus{Source: source, Dir: dir}
		lines, problems := strict.Node(fields, &server)
		all.Prometheus = append(all.Prometheus, server)
		return lines, server.Name, problems
	},
	kindCatalogue: addCatalogue,
	kindLimits: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		limits := jenner.Limits{Source: source}
		lines, problems := strict.Node(fields, &limits)
		all.Limits = limits
		return lines, "", problems
	},
}
