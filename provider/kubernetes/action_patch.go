package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("patch", "Change fields of an object", func() act.Action { return newPatch() }, kindDeployment, kindStatefulSet, kindDaemonSet,
		kindPod, kindNode, kindJob, kindHPA, kindPVC, kindConfigMap)
}

// Patch changes labels, annotations, the spec or the data of the target's object, and nothing else of it: not its status,
// not its owners, nor its finalizers. The API server is asked by a dry run which fields the patch would change; these are
// changed, only while they are as they were then, and set back by the undo. The unit of its blast radius is pods where a
// workload gets another template, and targets otherwise.
type Patch struct {
	undoableEdit
	// Type is merge (RFC 7386), strategic (lists are merged by name, as kubectl does) or json (RFC 6902); merge where not said.
	Type string `json:"type,omitempty"`
	// Patch is the patch: a mapping, or for json a list of operations.
	Patch json.RawMessage `json:"patch"`
	// Wait is how long a workload may take to settle; where not said, nobody waits for it.
	Wait jenner.Duration `json:"wait,omitempty"`
}

var patchTypes = map[string]types.PatchType{"merge": types.MergePatchType, "strategic": types.StrategicMergePatchType, "json": types.JSONPatchType}

// patchMost is how long a patch may be, in bytes.
const patchMost = 256 << 10

func newPatch() *Patch {
	p := &Patch{Type: "merge"}
	p.draft = func(ctx context.Context, on *site) (string, error) {
		answer, err := on.patch(ctx, patchTypes[p.Type], p.Patch, true)
		if err != nil {
			return "", err
		}
		if err := onlyWritten(on.live, answer); err != nil {
			return "", err
		}
		changes := planned{Fields: differences(on.live.Object, answer.Object)}
		return fmt.Sprintf("%s: %s patched", on.target, changes.places()), changes.write(on.want, false)
	}
	return p
}

// onlyWritten refuses a change of what is no part of what people write.
func onlyWritten(live, answer *unstructured.Unstructured) error {
	for _, field := range []string{"finalizers", "ownerReferences"} {
		at := slot{"metadata", field}
		if !alike(at.read(live.Object), at.read(answer.Object)) {
			return jenner.Permanent(fmt.Errorf("the patch would change its %s", field), "that is not done here")
		}
	}
	return nil
}

// Validate checks the parameters.
func (p *Patch) Validate() error {
	if _, known := patchTypes[p.Type]; !known {
		return fmt.Errorf("type is %q; write %v", p.Type, slices.Sorted(maps.Keys(patchTypes)))
	}
	text := bytes.TrimSpace(p.Patch)
	switch {
	case len(text) == 0:
		return errors.New("patch is missing")
	case len(text) > patchMost:
		return fmt.Errorf("patch has %d bytes; %d are the most", len(text), patchMost)
	case p.Type == "json" && text[0] != '[':
		return errors.New("a patch of type json is a list of operations")
	case p.Type != "json" && text[0] != '{':
		return fmt.Errorf("a patch of type %s is a mapping", p.Type)
	}
	return nil
}

// Size is how many pods are away at one time, where the target is a workload.
func (p *Patch) Size(ctx context.Context, call act.Call) (act.Size, error) { return sizeOf(ctx, call) }

// sizeOf is the size of a change that may give a workload another template.
func sizeOf(ctx context.Context, call act.Call) (act.Size, error) {
	if !slices.Contains(workloadKinds, call.Target.Kind) {
		return act.Size{Unit: "targets", Want: 1, Total: max(1, len(call.Service.Targets))}, nil
	}
	return rolling(ctx, call)
}

// Do patches it.
func (p *Patch) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := p.edit.Do(ctx, call)
	if err != nil || !slices.Contains(workloadKinds, call.Target.Kind) {
		return result, err
	}
	return settled(ctx, call, result, p.Wait)
}

// Rights are to read and change the object, and for a wait to read the pods of a workload.
func (p *Patch) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return templateRights(target, p.Wait)
}
