package cluster

import (
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is one kind of custom resources.
type kind struct {
	word    string // as the files say it
	plural  string
	short   []string
	doc     string
	columns []apiextensions.CustomResourceColumnDefinition
}

// name is the kind as Kubernetes writes it.
func (k kind) name() string { return strings.ToUpper(k.word[:1]) + k.word[1:] }

// resource is where the API server has objects of the kind.
func (k kind) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: Group, Version: Version, Resource: k.plural}
}

// documents are the kinds that people write.
var documents = []kind{
	{"service", "services", []string{"jsvc"}, "A service that Jenner watches: what it consists of, and how one sees that it is well.",
		columns("Tier integer .spec.tier", "Owner string .spec.owner", "Environment string .spec.environment")},
	{"signature", "signatures", []string{"jsig"}, "The evidence by which a cause is known.",
		columns("Cause string .spec.cause")},
	{"runbook", "runbooks", []string{"jrb"}, "Steps that heal.",
		columns("Trigger string .spec.trigger.alert")},
	{"policy", "policies", []string{"jpol"}, "What Jenner may do about a cause, on which services, and how far by itself.",
		columns("Cause string .spec.incident_type", "Mode string .spec.mode")},
	{"experiment", "experiments", []string{"jexp"}, "A drill: what is broken on purpose, and what is to happen then.",
		columns("Service string .spec.service", "Schedule string .spec.schedule.cron")},
}

// incidents is the kind that Jenner writes.
var incidents = kind{"incident", "incidents", []string{"jinc"}, "What went wrong with a service and what came of it. Jenner writes it; nothing that is changed here has any effect.",
	columns("Service string .spec.service", "Phase string .status.phase", "Cause string .status.cause", "Confidence string .status.confidence",
		"Runbook string .status.runbook")}

// columns reads NAME TYPE PATH.
func columns(written ...string) []apiextensions.CustomResourceColumnDefinition {
	var list []apiextensions.CustomResourceColumnDefinition
	for _, one := range written {
		part := strings.Fields(one)
		list = append(list, apiextensions.CustomResourceColumnDefinition{Name: part[0], Type: part[1], JSONPath: part[2]})
	}
	return list
}
