package config

import (
	"slices"

	"github.com/jenner-heal/jenner"
)

// index are the names that documents may refer to.
type index struct {
	services, runbooks, channels []string
	targets                      []string // names, and SERVICE/NAME
	alerts                       []string // of every detector
	events                       []string // that a signature looks for
	probes                       []string // names, and SERVICE/NAME
	causes                       []string // of signatures, and the names of runbooks with a trigger
}

func indexOf(docs *jenner.Documents) index {
	var x index
	for _, service := range docs.Services {
		x.services = append(x.services, service.Name)
		for _, target := range service.Targets {
			x.targets = append(x.targets, target.Name, service.Name+"/"+target.Name)
		}
		x.service(service)
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
	for _, list := range []*[]string{&x.targets, &x.alerts, &x.events, &x.probes, &x.causes} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return x
}

// service adds the probes of a service and the alerts that its detectors raise: rules under their own name, probes as
// NAME-failing and NAME-slow, SLIs as sli-NAME, and process-gone.
func (x *index) service(service jenner.Service) {
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
	if slices.ContainsFunc(service.Targets, isProcess) {
		x.alerts = append(x.alerts, "process-gone")
		x.probes = append(x.probes, jenner.AliveProbe, service.Name+"/"+jenner.AliveProbe)
	}
}
