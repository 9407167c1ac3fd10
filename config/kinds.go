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
	kindChannel    = "channel"
)

// kindTypes are the types that the kinds are decoded into.
var kindTypes = map[string]reflect.Type{
	kindService:    reflect.TypeFor[jenner.Service](),
	kindSignature:  reflect.TypeFor[jenner.Signature](),
	kindRunbook:    reflect.TypeFor[jenner.Runbook](),
	kindPolicy:     reflect.TypeFor[jenner.Policy](),
	kindExperiment: reflect.TypeFor[jenner.Experiment](),
	kindChannel:    reflect.TypeFor[jenner.Channel](),
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
	kindChannel: func(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (
		strict.Positions, string, []strict.Problem) {
		channel := jenner.Channel{Source: source}
		lines, problems := strict.Node(fields, &channel)
		all.Channels = append(all.Channels, channel)
		return lines, channel.Name, problems
	},
}
