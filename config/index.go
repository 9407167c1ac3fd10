package config

import (
	"slices"

	"github.com/jenner-heal/jenner"
)

// index are the names that documents may refer to.
type index struct {
	services, runbooks, channels []string
	servers                      []string // of metrics
	targets                      []string // names, and SERVICE/NAME
	alerts                       []string // of every detector
	events                       []string // that a signature looks for
	probes                       []string // names, and SERVICE/NAME
	causes                       []string // of signatures, and the names of runbooks with a trigger
	environments                 []string // of services
	teams, members               []string
	controllers                  []string // that manage a target
	// foreign: a receiver takes alerts without saying which, so that alerts of any name may be raised.
	foreign bool
}

func indexOf(docs *jenner.Documents, names Names) index {
	var x index
	if names != nil {
		x.alerts = append(x.alerts, names.Reasons()...)
	}
	for _, service := range docs.Services {
		x.services = append(x.services, service.Name)
		if service.Environment != "" {
			x.environments = append(x.environments, service.Environment)
		}
		x.targetsOf(service)
		x.service(service, lives(names, service))
	}
	for _, signature := range docs.Signatures {
		x.causes = append(x.causes, string(signature.Cause))
		for _, pattern := range signature.Evidence {
			if pattern.Event != "" {
				x.events = append(x.events, pattern.Event)
			}
		}
	}
	for _, book := range docs.Runbooks {
		x.runbooks = append(x.runbooks, book.Name)
		if book.Trigger != nil {
			x.causes = append(x.causes, book.Name)
			x.alerts = append(x.alerts, book.Name)
		}
	}
	for _, channel := range docs.Channels {
		x.channels = append(x.channels, channel.Name)
	}
	for _, receiver := range docs.Receivers {
		x.alerts = append(x.alerts, receiver.Alerts...)
		x.foreign = x.foreign || len(receiver.Alerts) == 0
	}
	for _, server := range docs.Prometheus {
		x.servers = append(x.servers, server.Name)
		if server.Service != "" {
			x.alerts = append(x.alerts, jenner.TelemetryDown)
		}
	}
	for _, catalogue := range docs.Catalogues {
		for _, group := range catalogue.Groups {
			for _, rule := range group.Rules {
				if rule.Alert != "" {
					x.alerts = append(x.alerts, rule.Alert)
				}
			}
		}
	}
	x.people(docs)
	for _, list := range []*[]string{&x.services, &x.runbooks, &x.channels, &x.teams, &x.servers} { // of documents not read as a whole
		*list = slices.DeleteFunc(*list, func(name string) bool { return name == "" })
	}
	for _, list := range []*[]string{&x.targets, &x.alerts, &x.events, &x.probes, &x.causes, &x.environments, &x.controllers,
		&x.members} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return x
}

// people adds the teams, and those who are in them.
func (x *index) people(docs *jenner.Documents) {
	for _, team := range docs.Teams {
		x.teams = append(x.teams, team.Name)
		x.members = append(x.members, team.Members...)
	}
}

// targetsOf adds what the service's targets are called, and who manages them.
func (x *index) targetsOf(service jenner.Service) {
	for _, target := range service.Targets {
		x.targets = append(x.targets, target.Name, service.Name+"/"+target.Name)
		if target.ManagedBy != "" {
			x.controllers = append(x.controllers, target.ManagedBy)
		}
	}
}

// service adds the probes of a service and the alerts that its detectors raise: rules under their own name, probes as
// NAME-failing and NAME-slow, SLIs as sli-NAME, and process-gone.
func (x *index) service(service jenner.Service, lives bool) {
	for _, rule := range service.Alerts {
		x.alerts = append(x.alerts, rule.Name)
	}
	for _, sli := range service.SLIs {
		x.alerts = append(x.alerts, "sli-"+sli.Name)
	}
	for _, probe := range service.Probes {
		x.alerts = append(x.alerts, probe.Name+"-failing", probe.Name+"-slow")
		x.probes = append(x.probes, probe.Name, service.Name+"/"+probe.Name)
	}
	if lives {
		x.alerts = append(x.alerts, "process-gone")
		x.probes = append(x.probes, jenner.AliveProbe, service.Name+"/"+jenner.AliveProbe)
	}
}
