package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("revert_drift", "Make an object as its file has it", func() act.Action { return newRevertDrift() }, kindDeployment, kindStatefulSet,
		kindDaemonSet, kindHPA, kindConfigMap)
}

// RevertDrift applies the target's object from a file, by a server-side apply under the name jenner: fields that the file
// has become as in the file, and all others stay. What people changed by kubectl is taken over from them; where another
// program holds a field, as an autoscaler does, the action is refused and names it, unless take_from does. The undo sets
// the fields as they were.
//
// The unit of its blast radius is pods where the target is a workload, and targets otherwise.
type RevertDrift struct {
	undoableEdit
	// File is a YAML or JSON file, which may hold several objects; the one of the target's kind and name is meant. A
	// relative path starts from the folder of the file that declares the target.
	File string `json:"file"`
	// Revision reads the file as it is committed in the Git working copy that it lies in: HEAD, a branch, a commit. The
	// file itself where not said.
	Revision string `json:"revision,omitempty"`
	// TakeFrom are more field managers whose fields may be taken over, with * for any text; `kubectl*` always is.
	TakeFrom []string `json:"take_from,omitempty"`
	// Wait is how long a workload may take to settle; where not said, nobody waits for it.
	Wait jenner.Duration `json:"wait,omitempty"`
}

// peoples are the field managers that stand for people, who drift, and for the faults that play people.
var peoples = []string{"kubectl*", "before-first-apply", faultManager, fieldManager}

func newRevertDrift() *RevertDrift {
	r := &RevertDrift{}
	r.draft = func(ctx context.Context, on *site) (string, error) {
		answer, err := r.apply(ctx, on, true)
		if err != nil {
			return "", err
		}
		changes := planned{Fields: differences(on.live.Object, answer.Object)}
		if len(changes.Fields) == 0 {
			return fmt.Sprintf("%s is as in %s", on.target, r.source()), nil
		}
		return fmt.Sprintf("%s: %s as in %s again", on.target, changes.places(), r.source()), changes.write(on.want, false)
	}
	r.send = func(ctx context.Context, on *site, dry bool) (*unstructured.Unstructured, error) {
		if dry {
			return on.want, nil // the draft has asked
		}
		would, err := r.apply(ctx, on, true)
		if err != nil {
			return nil, err
		}
		if others := differences(on.want.Object, would.Object); len(others) > 0 {
			return nil, jenner.Retryable(fmt.Errorf("%s is not as it was when it was looked at: %s", r.source(), planned{Fields: others}.places()), "")
		}
		return r.apply(ctx, on, false)
	}
	return r
}

// source names the file.
func (r *RevertDrift) source() string {
	if r.Revision == "" {
		return r.File
	}
	return r.File + " at " + r.Revision
}

// Validate checks the parameters.
func (r *RevertDrift) Validate() error {
	switch {
	case r.File == "":
		return errors.New("file is missing")
	case strings.HasPrefix(r.Revision, "-"):
		return fmt.Errorf("revision %q is none", r.Revision)
	}
	for _, pattern := range r.TakeFrom {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("take_from: %q is no pattern", pattern)
		}
	}
	return nil
}

// apply applies the file's object where the live one is as it was read.
func (r *RevertDrift) apply(ctx context.Context, on *site, dry bool) (*unstructured.Unstructured, error) {
	object, err := r.object(ctx, on)
	if err != nil {
		return nil, err
	}
	object.SetResourceVersion(on.live.GetResourceVersion())
	object.SetUID(on.live.GetUID())
	options := metav1.ApplyOptions{FieldManager: fieldManager}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	} else if on.call.Key != "" {
		noted := object.GetAnnotations()
		if noted == nil {
			noted = map[string]string{}
		}
		noted[lastAction] = on.call.Key
		object.SetAnnotations(noted)
	}
	doing := fmt.Sprintf("applying %s to %s", r.source(), on.target)
	answer, err := on.to.Apply(ctx, on.target.Object, object, options)
	held := holders(conflictsOf(err))
	if len(held) == 0 {
		return answer, told(err, doing)
	}
	for _, one := range held {
		if !r.takes(one.manager) {
			return nil, jenner.Permanent(fmt.Errorf("%s: %s holds %s", doing, one.manager, one.field),
				"take the field out of the file, or write the manager in take_from")
		}
	}
	options.Force = true
	answer, err = on.to.Apply(ctx, on.target.Object, object, options)
	return answer, told(err, doing)
}

// takes tells whether the fields of a manager may be taken over.
func (r *RevertDrift) takes(manager string) bool {
	return slices.ContainsFunc(slices.Concat(peoples, r.TakeFrom), func(pattern string) bool {
		matched, _ := path.Match(pattern, manager)
		return matched
	})
}

// holder is who holds a field.
type holder struct{ manager, field string }

var heldByManager = regexp.MustCompile(`conflict with "([^"]*)"`)

func holders(conflicts []metav1.StatusCause) []holder {
	var list []holder
	for _, conflict := range conflicts {
		manager := "somebody"
		if found := heldByManager.FindStringSubmatch(conflict.Message); found != nil {
			manager = found[1]
		}
		list = append(list, holder{manager, conflict.Field})
	}
	return list
}

// object is the target's object as the file has it, without what only the API server writes.
func (r *RevertDrift) object(ctx context.Context, on *site) (*unstructured.Unstructured, error) {
	file := r.File
	if !filepath.IsAbs(file) {
		file = filepath.Join(on.call.Target.Dir, file)
	}
	raw, err := r.read(ctx, file)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return nil, jenner.Permanent(fmt.Errorf("%s holds no %s", r.source(), on.target), "")
		case err != nil:
			return nil, jenner.Permanent(fmt.Errorf("%s cannot be read: %w", r.source(), err), "")
		case !on.is(object):
			continue
		}
		meta := map[string]any{"name": object.GetName(), "namespace": on.target.Namespace}
		for _, part := range []string{"labels", "annotations"} {
			if value := (slot{"metadata", part}).read(object.Object); value != nil {
				meta[part] = value
			}
		}
		object.Object["metadata"] = meta
		delete(object.Object, "status")
		return object, nil
	}
}

// is tells whether an object of a file is the target's.
func (on *site) is(object *unstructured.Unstructured) bool {
	return object.GetKind() == on.live.GetKind() && object.GetName() == on.target.Object &&
		(object.GetNamespace() == "" || object.GetNamespace() == on.target.Namespace)
}

// read reads the file, or what is committed of it.
func (r *RevertDrift) read(ctx context.Context, file string) ([]byte, error) {
	if r.Revision == "" {
		return os.ReadFile(file)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("a revision is asked for, and there is no git here: %w", err)
	}
	show := exec.CommandContext(ctx, git, "-C", filepath.Dir(file), "show", "--end-of-options", r.Revision+":./"+filepath.Base(file))
	show.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	var said bytes.Buffer
	show.Stderr = &said
	raw, err := show.Output()
	if err != nil {
		return nil, fmt.Errorf("git cannot show %s: %s", r.source(), strings.TrimSpace(said.String()))
	}
	return raw, nil
}

// Size is how many pods are away at one time, where the target is a workload.
func (r *RevertDrift) Size(ctx context.Context, call act.Call) (act.Size, error) {
	return sizeOf(ctx, call)
}

// Do applies it.
func (r *RevertDrift) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := r.edit.Do(ctx, call)
	if err != nil || !slices.Contains(workloadKinds, call.Target.Kind) {
		return result, err
	}
	return settled(ctx, call, result, r.Wait)
}

// Rights are to read and change the object, and for a wait to read the pods of a workload.
func (r *RevertDrift) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return templateRights(target, r.Wait)
}
