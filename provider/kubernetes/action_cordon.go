package kubernetes

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("cordon", "Let no new pods onto a node", func() act.Action { return newCordon() }, kindNode)
}

// Cordon marks a node as unschedulable; the pods that it has stay. The undo lets pods onto it again, where it did before.
type Cordon struct{ undoableEdit }

var unschedulable = slot{"spec", "unschedulable"}

func newCordon() *Cordon {
	c := &Cordon{}
	c.draft = func(_ context.Context, on *site) (string, error) {
		return fmt.Sprintf("no new pods come onto %s", on.target), unschedulable.write(on.want.Object, true)
	}
	return c
}

// Fingerprint is whether the node is unschedulable.
func (*Cordon) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	return fingerprintOf(ctx, call, unschedulable)
}

// Rights are to read and change the node.
func (*Cordon) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return editRights(target)
}
