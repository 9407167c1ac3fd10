package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/dynamic"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// edit is what the actions share that change fields of one object. They say what they want by draft; the rest is the same
// for all of them: the API server is asked by a dry run what would become of the draft, the fields that differ are the
// checkpoint, and they are changed only while they are as the checkpoint has them. An object that somebody else changes
// elsewhere at the same time does not matter.
type edit struct {
	// draft changes on.want, which is a copy of on.live, and says in one line what that is. An error says why it cannot be.
	draft func(ctx context.Context, on *site) (says string, err error)
	// find reads the live object; that of the target where nil.
	find func(ctx context.Context, call act.Call) (*site, error)
	// send asks the API server to make on.live into on.want; a merge patch where nil.
	send func(ctx context.Context, on *site, dry bool) (*unstructured.Unstructured, error)
}

// site is where an edit works.
type site struct {
	*cluster
	target *Target
	to     dynamic.ResourceInterface // where the object is
	name   string                    // of the object, in messages
	live   *unstructured.Unstructured
	want   *unstructured.Unstructured
	call   act.Call
}

// planned is the checkpoint of an edit.
type planned struct {
	UID    types.UID     `json:"uid"`
	Fields []fieldChange `json:"fields"`
	Says   string        `json:"says"`
}

// standing says how an object compares with a checkpoint.
type standing int

const (
	asBefore standing = iota
	asWanted
	otherwise
)

// look reads the live object.
func look(ctx context.Context, call act.Call) (*site, error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return nil, err
	}
	to, err := c.resource(t)
	if err != nil {
		return nil, err
	}
	return (&site{cluster: c, target: t, to: to, name: t.String(), call: call}).read(ctx, t.Object)
}

// read reads the live object.
func (on *site) read(ctx context.Context, object string) (*site, error) {
	live, err := on.to.Get(ctx, object, metav1.GetOptions{})
	if err != nil {
		return nil, told(err, "reading "+on.name)
	}
	on.live, on.want = live, live.DeepCopy()
	return on, nil
}

// look reads the object that the edit is about.
func (e *edit) look(ctx context.Context, call act.Call) (*site, error) {
	if e.find != nil {
		return e.find(ctx, call)
	}
	return look(ctx, call)
}

// drafted reads the live object and drafts the change.
func (e *edit) drafted(ctx context.Context, call act.Call) (*site, string, error) {
	on, err := e.look(ctx, call)
	if err != nil {
		return nil, "", err
	}
	says, err := e.draft(ctx, on)
	if err != nil && !strings.Contains(err.Error(), on.name) {
		err = fmt.Errorf("%s: %w", on.name, err)
	}
	return on, says, err
}

// Check refuses what the action does not do to the object as it is now.
func (e *edit) Check(ctx context.Context, call act.Call) error {
	_, _, err := e.drafted(ctx, call)
	return err
}

// Checkpoint keeps the fields that would change, as they are and as they would be by the API server's own dry run.
func (e *edit) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	var kept planned
	err := again(func() error {
		on, says, err := e.drafted(ctx, call)
		if err != nil {
			return err
		}
		answer, err := e.ask(ctx, on, true)
		if err != nil {
			return err
		}
		kept = planned{UID: on.live.GetUID(), Fields: differences(on.live.Object, answer.Object), Says: says}
		return nil
	})
	return jenner.Raw(kept), err
}

// DryRun says what the API server would make of it. The checkpoint has asked it.
func (e *edit) DryRun(_ context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[planned](call.Checkpoint)
	return act.Result{Summary: kept.Says, Changed: len(kept.Fields) > 0}, err
}

// Happened compares the live object with the checkpoint.
func (e *edit) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	kept, err := keptIn[planned](call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	on, err := e.look(ctx, call)
	switch {
	case apierrors.IsNotFound(err):
		return act.HappenedUnknown, nil
	case err != nil:
		return act.HappenedUnknown, err
	}
	return kept.happened(on.live, call.Key), nil
}

func (k planned) happened(live *unstructured.Unstructured, key string) act.Happened {
	stands := k.stands(live)
	switch {
	case stands == asWanted:
		return act.HappenedDone
	case key != "" && live.GetUID() == k.UID && live.GetAnnotations()[lastAction] == key:
		return act.HappenedDone // and somebody changed it since
	case stands == asBefore:
		return act.HappenedNot
	}
	return act.HappenedUnknown
}

// stands compares a live object with the checkpoint. Where nothing was to be changed it is as wanted.
func (k planned) stands(live *unstructured.Unstructured) standing {
	if live.GetUID() != k.UID {
		return otherwise // one of the same name
	}
	before, wanted := true, true
	for _, one := range k.Fields {
		is := one.At.read(live.Object)
		before = before && alike(is, one.Was)
		wanted = wanted && alike(is, one.Want)
	}
	switch {
	case wanted:
		return asWanted
	case before:
		return asBefore
	}
	return otherwise
}

// Fingerprint is made of the fields that the checkpoint holds, and without a checkpoint of all that people write.
func (e *edit) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	on, err := e.look(ctx, call)
	if err != nil {
		return "", err
	}
	if len(call.Checkpoint) == 0 {
		return jenner.Fingerprint(string(jenner.Raw(written(on.live.Object)))), nil
	}
	kept, err := keptIn[planned](call.Checkpoint)
	if err != nil {
		return "", err
	}
	var fields []slot
	for _, one := range kept.Fields {
		fields = append(fields, one.At)
	}
	return on.fingerprint(fields...), nil
}

// fingerprintOf is made of some fields of the object.
func fingerprintOf(ctx context.Context, call act.Call, fields ...slot) (string, error) {
	on, err := look(ctx, call)
	if err != nil {
		return "", err
	}
	return on.fingerprint(fields...), nil
}

func (on *site) fingerprint(fields ...slot) string {
	parts := []string{string(on.live.GetUID())}
	for _, at := range fields {
		parts = append(parts, at.String(), string(jenner.Raw(at.read(on.live.Object))))
	}
	return jenner.Fingerprint(parts...)
}

// Do changes the fields, while they are as the checkpoint has them.
func (e *edit) Do(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[planned](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	result := act.Result{Summary: kept.Says, Output: kept.output()}
	err = again(func() error {
		on, err := e.look(ctx, call)
		if err != nil {
			return err
		}
		switch kept.stands(on.live) {
		case asWanted:
			return nil
		case otherwise:
			return jenner.Retryable(fmt.Errorf("%s: somebody else changed %s since it was looked at", on.name, kept.places()), "")
		}
		if err := kept.write(on.want, false); err != nil {
			return err
		}
		if _, err = e.ask(ctx, on, false); err == nil {
			result.Changed = true
		}
		return err
	})
	if err == nil && !result.Changed {
		result.Summary = "already so: " + kept.Says
	}
	return result, err
}

// write makes an object as it is to be, or as it was.
func (k planned) write(object *unstructured.Unstructured, back bool) error {
	for _, one := range k.Fields {
		value := one.Want
		if back {
			value = one.Was
		}
		if err := one.At.write(object.Object, value); err != nil {
			return jenner.Permanent(err, "")
		}
	}
	return nil
}

// changedField is the output of an edit, for each field.
type changedField struct {
	Field string `json:"field"`
	Was   any    `json:"was,omitempty"`
	Is    any    `json:"is,omitempty"`
}

func (k planned) output() []changedField {
	list := make([]changedField, 0, len(k.Fields))
	for _, one := range k.Fields {
		list = append(list, changedField{one.At.String(), one.Was, one.Want})
	}
	return list
}

// places names the fields in a few words.
func (k planned) places() string {
	const most = 3
	var names []string
	for _, one := range k.Fields[:min(most, len(k.Fields))] {
		names = append(names, one.At.String())
	}
	if more := len(k.Fields) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// undoableEdit is an edit that is taken back by setting the fields as they were.
type undoableEdit struct{ edit }

// Undo sets the fields as they were, while they are as the effect left them.
func (e *undoableEdit) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[planned](call.Checkpoint)
	if err != nil {
		return act.Result{}, jenner.ForHuman(err, "look at the object and decide")
	}
	var result act.Result
	err = again(func() error {
		on, err := e.look(ctx, call)
		if apierrors.IsNotFound(err) {
			result = act.Result{Summary: "nothing to take back: it is gone"}
			return nil
		}
		if err != nil {
			return err
		}
		switch stands := kept.stands(on.live); {
		case len(kept.Fields) == 0 || stands == asBefore:
			result = act.Result{Summary: fmt.Sprintf("%s is as it was before", on.name)}
			return nil
		case stands == otherwise:
			result = act.Result{Summary: fmt.Sprintf("left alone: somebody else changed %s of %s since", kept.places(), on.name)}
			return nil
		}
		if err := kept.write(on.want, true); err != nil {
			return err
		}
		_, err = on.merge(ctx, false)
		result = act.Result{Summary: fmt.Sprintf("%s of %s as before", kept.places(), on.name), Changed: err == nil}
		return err
	})
	return result, err
}

// ask has the API server make on.live into on.want.
func (e *edit) ask(ctx context.Context, on *site, dry bool) (*unstructured.Unstructured, error) {
	if e.send != nil {
		return e.send(ctx, on, dry)
	}
	return on.merge(ctx, dry)
}

// merge sends a merge patch that holds only where the object is as it was read, and notes the key of the call.
func (on *site) merge(ctx context.Context, dry bool) (*unstructured.Unstructured, error) {
	if on.call.Key != "" && !dry {
		noted := on.want.GetAnnotations()
		if noted == nil {
			noted = map[string]string{}
		}
		noted[lastAction] = on.call.Key
		on.want.SetAnnotations(noted)
	}
	live, err := utiljson.Marshal(on.live.Object)
	if err != nil {
		return nil, err
	}
	want, err := utiljson.Marshal(on.want.Object)
	if err != nil {
		return nil, err
	}
	body, err := jsonpatch.CreateMergePatch(live, want)
	if err != nil {
		return nil, err
	}
	if body, err = on.asRead(body); err != nil {
		return nil, err
	}
	return on.patch(ctx, types.MergePatchType, body, dry)
}

// asRead puts the precondition into a patch that the object is the one that was read, and has not changed since.
func (on *site) asRead(body []byte) ([]byte, error) {
	precondition := jenner.Raw(map[string]any{"metadata": map[string]any{"uid": on.live.GetUID(), "resourceVersion": on.live.GetResourceVersion()}})
	return jsonpatch.MergePatch(body, precondition)
}

// patch sends a patch under Jenner's name.
func (on *site) patch(ctx context.Context, form types.PatchType, body []byte, dry bool) (*unstructured.Unstructured, error) {
	options := metav1.PatchOptions{FieldManager: fieldManager}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	answer, err := on.to.Patch(ctx, on.live.GetName(), form, body, options)
	return answer, told(err, "changing "+on.name)
}

// conflictsMost is how often a change is tried on an object that others write to at the same time, controllers that note
// its status most of all.
const conflictsMost = 8

// again does something again while it fails because somebody else was faster.
func again(do func() error) error {
	var err error
	for range conflictsMost {
		if err = do(); err == nil || !apierrors.IsConflict(err) || len(conflictsOf(err)) > 0 {
			return err
		}
	}
	return err
}

// conflictsOf are the fields of other field managers over which a server-side apply failed.
func conflictsOf(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var causes []metav1.StatusCause
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			causes = append(causes, cause)
		}
	}
	return causes
}

// keptIn reads a checkpoint.
func keptIn[T any](raw json.RawMessage) (kept T, err error) {
	if len(raw) == 0 {
		return kept, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(raw, &kept); err != nil {
		return kept, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return kept, nil
}

// now is the time as objects hold it.
func now() string { return time.Now().UTC().Format(time.RFC3339) }
