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

// RevertDrift applies the target's object as it is written, in the target's own manifest (desired) or in another file, by a server-side apply under the name jenner: fields that the file
// has become as in the file, and all others stay. What people changed by kubectl is taken over from them; where another
// program holds a field, as an autoscaler does, the action is refused and names it, unless take_from does. The undo sets
// the fields as they were.
//
// The unit of its blast radius is pods where the target is a workload, and targets otherwise.
type RevertDrift struct {
	undoableEdit
	// File is a YAML or JSON file, which may hold several objects; the one of the target's kind and name is meant. A
	// relative path starts from the folder of the file that declares the target. Where not said, it is the desired of the
	// target, by which its drift is seen, at the target's revision; a target that has none is refused then.
	File string `json:"file,omitempty"`
	// Revision reads the file as it is committed in the Git working copy that it lies in: HEAD, a branch, a commit. Where
	// not said, a file that is written here is read as it is.
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
		from, _ := r.source(on.target) // it was read
		if len(changes.Fields) == 0 {
			return fmt.Sprintf("%s is as in %s", on.target, from), nil
		}
		return fmt.Sprintf("%s: %s as in %s again", on.target, changes.places(), from), changes.write(on.want, false)
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
			from, _ := r.source(on.target)
			return nil, jenner.Retryable(fmt.Errorf("%s is not as it was when it was looked at: %s", from, planned{Fields: others}.places()), "")
		}
		return r.apply(ctx, on, false)
	}
	return r
}

// manifest is where it is written how an object is to be.
type manifest struct{ file, revision string }

// String is `objects.yaml at HEAD`.
func (m manifest) String() string {
	if m.revision == "" {
		return m.file
	}
	return m.file + " at " + m.revision
}

// source is the manifest that is applied to a target.
func (r *RevertDrift) source(t *Target) (manifest, error) {
	switch {
	case r.File != "":
		return manifest{r.File, r.Revision}, nil
	case t.Desired == "":
		return manifest{}, jenner.Permanent(fmt.Errorf("nobody says how %s is to be", t), "write desired in the target, or file in the step")
	case r.Revision != "":
		return manifest{t.Desired, r.Revision}, nil
	}
	return manifest{t.Desired, t.Revision}, nil
}

// Validate checks the parameters.
func (r *RevertDrift) Validate() error {
	if strings.HasPrefix(r.Revision, "-") {
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
	from, err := r.source(on.target)
	if err != nil {
		return nil, err
	}
	object, err := from.object(ctx, on)
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
	doing := fmt.Sprintf("applying %s to %s", from, on.target)
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

// object is the target's object as the manifest has it, without what only the API server writes.
func (m manifest) object(ctx context.Context, on *site) (*unstructured.Unstructured, error) {
	raw, err := m.read(ctx, on.call.Target.Dir)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return nil, jenner.Permanent(fmt.Errorf("%s holds no %s", m, on.target), "")
		case err != nil:
			return nil, jenner.Permanent(fmt.Errorf("%s cannot be read: %w", m, err), "")
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

// read reads the file, or what is committed of it. A relative path starts from the folder.
func (m manifest) read(ctx context.Context, folder string) ([]byte, error) {
	file := m.file
	if !filepath.IsAbs(file) {
		file = filepath.Join(folder, file)
	}
	if m.revision == "" {
		return os.ReadFile(file)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("a revision is asked for, and there is no git here: %w", err)
	}
	show := exec.CommandContext(ctx, git, "-C", filepath.Dir(file), "show", "--end-of-options", m.revision+":./"+filepath.Base(file))
	show.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	var said bytes.Buffer
	show.Stderr = &said
	raw, err := show.Output()
	if err != nil {
		return nil, fmt.Errorf("git cannot show %s: %s", m, strings.TrimSpace(said.String()))
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

// Rights are to read and change the object, and for a wait to read the pods of a workload; none where nobody says how it is to
// be, for then nothing is done.
func (r *RevertDrift) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	if _, err := r.source(t); err != nil {
		return nil, nil
	}
	return templateRights(target, r.Wait)
}
