package kubernetes

import (
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

// templateRights are what a change of a pod template needs that is watched until it has settled.
func templateRights(target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return append(t.rights("get", "patch"), t.right("list", "", "pods")), nil
}
