package kubernetes

import (
	"slices"

	"github.com/jenner-heal/jenner"
)

// editRights are what an edit needs.
func editRights(target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return t.rights("get", "patch"), nil
}

// templateRights are what a change of a workload needs, and where it is waited for, what it takes to tell why it is stuck.
func templateRights(target jenner.Target, wait jenner.Duration) ([]jenner.Right, error) {
	list, err := editRights(target)
	if err != nil || wait == 0 || !slices.Contains(workloadKinds, target.Kind) {
		return list, err
	}
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return append(list, t.right("list", "", "pods")), nil
}

// editedRights are what a fault needs that changes fields of one object, and takes that back: by its journal, or when
// somebody finds its mark, for which the objects of that resource are listed. Copies of the mark are in the replica sets of a
// Deployment.
func editedRights(target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list := t.rights("get", "list", "patch")
	if t.ref.Kind == kindDeployment {
		for _, verb := range []string{"get", "list", "patch"} {
			list = append(list, t.right(verb, replicaSets.Group, replicaSets.Resource))
		}
	}
	return list, nil
}

// alteringRights are what a fault needs that changes a workload. Its witnesses are the pods.
func alteringRights(target jenner.Target) ([]jenner.Right, error) {
	list, err := editedRights(target)
	if err != nil {
		return nil, err
	}
	t, err := decode(target)
	return append(list, t.right("list", "", "pods")), err
}

// madeVerbs are what a fault needs that is an object of its own.
var madeVerbs = []string{"get", "list", "create", "patch", "delete"}

// podRight is a verb on pods, or on a part of them, of which one only is meant where the target is one by its name.
func (t *Target) podRight(verb, resource string) jenner.Right {
	right := t.right(verb, "", resource)
	if t.ref.Kind == kindPod && t.Selector == "" {
		right.Name = t.Object
	}
	return right
}

// chosenRights are what it takes to choose pods of a target.
func (t *Target) chosenRights() []jenner.Right {
	switch {
	case t.ref.Kind != kindPod:
		return append(t.rights("get"), t.right("list", "", "pods"))
	case t.Selector != "":
		return []jenner.Right{t.right("list", "", "pods")}
	}
	return []jenner.Right{t.podRight("get", "pods")}
}

// struckRights are what a fault needs that hits pods with this verb, and sees who brings them back.
func struckRights(target jenner.Target, verb, resource string) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list := append(t.chosenRights(), t.podRight("get", "pods"), t.right("list", "", "pods"), t.podRight(verb, resource))
	switch t.ref.Kind {
	case kindDeployment:
		list = append(list, t.right("get", replicaSets.Group, replicaSets.Resource))
	case kindPod: // only the pods say who keeps them alive
		for _, kept := range []string{"daemonsets", "deployments", "replicasets", "statefulsets"} {
			list = append(list, t.right("get", "apps", kept))
		}
	}
	return list, nil
}

// pressedRights are what a fault needs that lets a guest load pods.
func pressedRights(target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	node := t.right("get", "", "nodes") // only the pods say which
	node.Namespace, node.Clusterwide = "", true
	return append(t.chosenRights(), t.podRight("get", "pods"), t.podRight("update", "pods/ephemeralcontainers"),
		t.podRight("create", "pods/attach"), node), nil
}
