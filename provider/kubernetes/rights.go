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
