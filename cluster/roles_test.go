package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// TestGrants puts together what differs by name, resource or verb only, and leaves out what something else allows already.
func TestGrants(t *testing.T) {
	right := func(text string) jenner.Right { // VERB GROUP RESOURCE NAME PLACE
		part := strings.Fields(strings.ReplaceAll(text, "-", " - "))
		for i := range part {
			if part[i] == "-" {
				part[i] = ""
			}
		}
		made := jenner.Right{Verb: part[0], Group: part[1], Resource: part[2], Name: part[3], Namespace: part[4]}
		if made.Namespace == "*" {
			made.Namespace, made.Clusterwide = "", true
		}
		return made
	}
	var rights []jenner.Right
	for _, text := range []string{"get apps deployments web shop", "patch apps deployments web shop", "get apps deployments db shop", "patch apps deployments db shop",
		"get apps statefulsets db shop", "list - pods - shop", "get - pods a shop", "get - pods - shop", "get - nodes - *", "get - pods - own", "watch - pods - *", "watch - pods - shop",
		"get - secrets - -"} {
		rights = append(rights, right(text))
	}
	rights = append(rights, jenner.Right{Verb: "get", Resource: "pods", Namespace: "shop", Context: "another"})
	var got strings.Builder
	for _, grant := range Grants(rights, "jenner") {
		fmt.Fprintf(&got, "%q:\n", grant.Namespace)
		for _, rule := range grant.Rules {
			fmt.Fprintf(&got, "  %v %v %v %v\n", rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs)
		}
	}
	const want = `"":
  [] [nodes] [] [get]
  [] [pods] [] [watch]
"jenner":
  [] [secrets] [] [get]
"own":
  [] [pods] [] [get]
"shop":
  [] [pods] [] [get list]
  [apps] [deployments] [db web] [get patch]
  [apps] [statefulsets] [db] [get]
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// TestGrantsAllowExactlyTheRights: whatever the rights are, each is allowed and nothing else is.
func TestGrantsAllowExactlyTheRights(t *testing.T) {
	draw := func(t *rapid.T) jenner.Right {
		right := jenner.Right{Verb: rapid.SampledFrom([]string{"get", "list", "patch"}).Draw(t, "verb"), Group: rapid.SampledFrom([]string{"", "apps"}).Draw(t, "group"),
			Resource: rapid.SampledFrom([]string{"x", "y", "x/status"}).Draw(t, "resource"), Name: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "name"),
			Namespace: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "namespace")}
		if rapid.Bool().Draw(t, "wide") {
			right.Namespace, right.Clusterwide = "", true
		}
		return right
	}
	rapid.Check(t, func(t *rapid.T) {
		rights := rapid.SliceOfN(rapid.Custom(draw), 0, 12).Draw(t, "rights")
		grants := Grants(rights, "one")
		asked := draw(t)
		given := slices.ContainsFunc(grants, func(g Grant) bool {
			return (g.Namespace == "" || g.Namespace == asked.Namespace) && slices.ContainsFunc(g.Rules, func(r rbac.PolicyRule) bool {
				return slices.Contains(r.Verbs, asked.Verb) && slices.Contains(r.APIGroups, asked.Group) && slices.Contains(r.Resources, asked.Resource) &&
					(len(r.ResourceNames) == 0 || asked.Name != "" && slices.Contains(r.ResourceNames, asked.Name))
			})
		})
		wanted := slices.ContainsFunc(rights, func(r jenner.Right) bool {
			return r.Verb == asked.Verb && r.Group == asked.Group && r.Resource == asked.Resource && (r.Name == "" || r.Name == asked.Name) &&
				(r.Clusterwide || r.Namespace == asked.Namespace)
		})
		if given != wanted {
			t.Fatalf("%s is given: %v, and wanted: %v, by %+v", asked, given, wanted, grants)
		}
	})
}
