package kubernetes

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("uncordon", "Let pods onto a node again", func() act.Action { return newUncordon() }, kindNode)
}

// Uncordon takes the mark away by which a node is unschedulable. The undo sets it again, where it was set before.
type Uncordon struct{ undoableEdit }

func newUncordon() *Uncordon {
	u := &Uncordon{}
	u.draft = func(_ context.Context, on *site) (string, error) {
		return fmt.Sprintf("new pods come onto %s again", on.target), unschedulable.write(on.want.Object, nil)
	}
	return u
}

// Fingerprint is whether the node is unschedulable.
func (*Uncordon) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	return fingerprintOf(ctx, call, unschedulable)
}

// Rights are to read and change the node.
func (*Uncordon) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return editRights(target)
}
