package cluster

import (
	"cmp"
	"slices"
	"strings"

	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jenner-heal/jenner"
)

// Own says what of its own Jenner does at the API server.
type Own struct {
	Namespace  string   // where it lives
	Watched    []string // whose custom resources it takes; its own namespace where there is none
	Discovered []string // where it looks for services by the labels of workloads
	Lease      string   // none where empty
}

// Rights are what Jenner needs for itself, whatever the documents say: the lease, its custom resources, and events about them.
func (o Own) Rights() []jenner.Right {
	var all []jenner.Right
	add := func(namespace, group, resource, name string, verbs ...string) {
		for _, verb := range verbs {
			all = append(all, jenner.Right{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name})
		}
	}
	if o.Lease != "" {
		add(o.Namespace, "coordination.k8s.io", "leases", "", "create")
		add(o.Namespace, "coordination.k8s.io", "leases", o.Lease, "get", "update")
	}
	watched := o.Watched
	if len(watched) == 0 {
		watched = []string{o.Namespace}
	}
	for _, namespace := range watched {
		for _, k := range documents {
			add(namespace, Group, k.plural, "", "list", "watch")
			add(namespace, Group, k.plural+"/status", "", "patch")
		}
	}
	add(o.Namespace, Group, incidents.plural, "", "get", "list", "create", "patch", "delete")
	for _, namespace := range slices.Concat([]string{o.Namespace}, watched) {
		add(namespace, "events.k8s.io", "events", "", "create", "patch")
	}
	for _, namespace := range o.Discovered {
		for _, workloads := range []string{"deployments", "statefulsets", "daemonsets"} {
			add(namespace, "apps", workloads, "", "list")
		}
	}
	return all
}

// EventRights are what an event about a target needs; none where it can have none.
func (o Own) EventRights(target jenner.Target) []jenner.Right {
	of, is := known[target.Kind]
	if !is || text(target, "kubeconfig") != "" || text(target, "context") != "" || text(target, "selector") != "" {
		return nil
	}
	name := text(target, "object")
	if name == "" {
		name = target.Name
	}
	get := jenner.Right{Verb: "get", Group: of.resource.Group, Resource: of.resource.Resource, Name: name, Clusterwide: of.global}
	events := metav1.NamespaceDefault
	if !of.global {
		if get.Namespace = text(target, "namespace"); get.Namespace == "" {
			get.Namespace = o.Namespace
		}
		events = get.Namespace
	}
	return []jenner.Right{get,
		{Verb: "create", Group: "events.k8s.io", Resource: "events", Namespace: events},
		{Verb: "patch", Group: "events.k8s.io", Resource: "events", Namespace: events}}
}

// Grant is the rules of one place: a namespace, or with an empty one the whole cluster.
type Grant struct {
	Namespace string            `json:"namespace,omitempty"`
	Rules     []rbac.PolicyRule `json:"rules"`
}

// Grants are the smallest rules that allow these rights, by place, the whole cluster first. Rights without a namespace are
// meant for that of Jenner. Rights at other clusters are left out: nobody here can give them.
func Grants(rights []jenner.Right, namespace string) []Grant {
	byPlace := map[string]map[thing][]string{}
	for _, right := range rights {
		if right.Kubeconfig != "" || right.Context != "" {
			continue
		}
		place := right.Namespace
		switch {
		case right.Clusterwide:
			place = ""
		case place == "":
			place = namespace
		}
		if byPlace[place] == nil {
			byPlace[place] = map[thing][]string{}
		}
		of := thing{right.Group, right.Resource, right.Name}
		byPlace[place][of] = append(byPlace[place][of], right.Verb)
	}
	var grants []Grant
	for place, things := range byPlace {
		for of := range things {
			things[of] = beyond(things[of], things[thing{of.group, of.resource, ""}], of.name != "")
			if wide, has := byPlace[""]; has && place != "" { // what holds everywhere need not be said here again
				things[of] = beyond(things[of], wide[thing{of.group, of.resource, ""}], true)
			}
		}
		if rules := rulesOf(things); len(rules) > 0 {
			grants = append(grants, Grant{place, rules})
		}
	}
	slices.SortFunc(grants, func(a, b Grant) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return grants
}

// thing is what a verb is about.
type thing struct{ group, resource, name string }

// beyond are the verbs, each once and in the usual order, without those that more general ones cover.
func beyond(verbs, general []string, covered bool) []string {
	usual := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	var left []string
	for _, verb := range verbs {
		if !slices.Contains(left, verb) && (!covered || !slices.Contains(general, verb)) {
			left = append(left, verb)
		}
	}
	slices.SortFunc(left, func(a, b string) int {
		return cmp.Or(cmp.Compare(slices.Index(usual, a), slices.Index(usual, b)), cmp.Compare(a, b))
	})
	return left
}

// rulesOf puts together what differs by name or by resource only.
func rulesOf(things map[thing][]string) []rbac.PolicyRule {
	var rules []rbac.PolicyRule
	join := func(into func(*rbac.PolicyRule) *[]string, key func(rbac.PolicyRule) string) {
		var joined []rbac.PolicyRule
		at := map[string]int{}
		for _, rule := range rules {
			if i, has := at[key(rule)]; has {
				list := into(&joined[i])
				*list = append(*list, *into(&rule)...)
				slices.Sort(*list)
				*list = slices.Compact(*list)
				continue
			}
			at[key(rule)] = len(joined)
			joined = append(joined, rule)
		}
		rules = joined
	}
	for of, verbs := range things {
		if len(verbs) == 0 {
			continue
		}
		rule := rbac.PolicyRule{APIGroups: []string{of.group}, Resources: []string{of.resource}, Verbs: verbs}
		if of.name != "" {
			rule.ResourceNames = []string{of.name}
		}
		rules = append(rules, rule)
	}
	slices.SortFunc(rules, compareRules)
	said := func(parts ...[]string) string {
		var text []string
		for _, part := range parts {
			text = append(text, strings.Join(part, ","))
		}
		return strings.Join(text, ";")
	}
	named := func(r rbac.PolicyRule) string {
		return said(r.APIGroups, r.Resources, r.Verbs, []string{flag(len(r.ResourceNames) > 0)})
	}
	join(func(r *rbac.PolicyRule) *[]string { return &r.ResourceNames }, named)
	join(func(r *rbac.PolicyRule) *[]string { return &r.Resources }, func(r rbac.PolicyRule) string { return said(r.APIGroups, r.ResourceNames, r.Verbs) })
	slices.SortFunc(rules, compareRules)
	return rules
}

func flag(on bool) string {
	if on {
		return "named"
	}
	return ""
}

func compareRules(a, b rbac.PolicyRule) int {
	return cmp.Or(slices.Compare(a.APIGroups, b.APIGroups), slices.Compare(a.Resources, b.Resources), slices.Compare(a.ResourceNames, b.ResourceNames),
		slices.Compare(a.Verbs, b.Verbs))
}

// Roles are the grants as objects: a ClusterRole and a Role in each namespace, each bound to the service account.
func Roles(grants []Grant, name, account, namespace string) []runtime.Object {
	subjects := []rbac.Subject{{Kind: rbac.ServiceAccountKind, Name: account, Namespace: namespace}}
	labels := map[string]string{"app.kubernetes.io/name": manager, "app.kubernetes.io/managed-by": "jenner-rbac"}
	var all []runtime.Object
	for _, grant := range grants {
		if grant.Namespace == "" {
			full := name + "-" + namespace // there may be several Jenners in a cluster
			meta := metav1.ObjectMeta{Name: full, Labels: labels}
			all = append(all, &rbac.ClusterRole{TypeMeta: ofRBAC("ClusterRole"), ObjectMeta: meta, Rules: grant.Rules},
				&rbac.ClusterRoleBinding{TypeMeta: ofRBAC("ClusterRoleBinding"), ObjectMeta: meta, Subjects: subjects,
					RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: full}})
			continue
		}
		meta := metav1.ObjectMeta{Name: name, Namespace: grant.Namespace, Labels: labels}
		all = append(all, &rbac.Role{TypeMeta: ofRBAC("Role"), ObjectMeta: meta, Rules: grant.Rules},
			&rbac.RoleBinding{TypeMeta: ofRBAC("RoleBinding"), ObjectMeta: meta, Subjects: subjects,
				RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: name}})
	}
	return all
}

func ofRBAC(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: rbac.SchemeGroupVersion.String(), Kind: kind}
}
