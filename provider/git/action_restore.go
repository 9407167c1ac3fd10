package git

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("restore", "Write the repository's version into the live file", func() act.Action {
		return &Restore{Behind: behindKeep, Versions: 20}
	})
}

// What is done about a live file that is an older version.
const (
	behindKeep   = "keep"
	behindDeploy = "deploy"
)

// maxKept is how large a live file may be to be kept in the checkpoint.
const maxKept = 1 << 20

// Restore writes the newest version at the head of the branch into the live file, which is replaced in one step and
// keeps its mode and its owner. The repository is fetched first where it is elsewhere. Nobody is told that the file
// changed: reload whoever reads it in the next step.
//
// A live file that is an older version was not changed by hand: its deployment has not come yet. It is left as it is,
// unless behind says deploy.
type Restore struct {
	// Behind says what is done about an older version: keep or deploy. keep where not said.
	Behind string `json:"behind,omitempty"`
	// Versions is how many of the last versions count as older ones; 20 where not said.
	Versions int `json:"versions,omitempty"`
}

// kept is the checkpoint.
type kept struct {
	Existed bool        `json:"existed"`
	Content []byte      `json:"content,omitempty"`
	Mode    os.FileMode `json:"mode,omitempty"`
	Want    string      `json:"want"` // the version that is to be written, by the name that Git has for its content
}

// Validate checks the parameters.
func (r *Restore) Validate() error {
	if r.Behind != behindKeep && r.Behind != behindDeploy {
		return fmt.Errorf("behind is %q; write keep or deploy", r.Behind)
	}
	if r.Versions < 1 {
		return fmt.Errorf("versions is %d; write 1 or more", r.Versions)
	}
	return nil
}

// look fetches and compares.
func (r *Restore) look(ctx context.Context, target jenner.Target, fetch bool) (repository, standing, error) {
	t, err := decode(target)
	if err != nil {
		return repository{}, standing{}, err
	}
	in, err := t.open()
	if err == nil && fetch {
		_, err = in.fetch(ctx)
	}
	if err != nil {
		return in, standing{}, err
	}
	stands, err := in.stand(ctx, r.Versions)
	return in, stands, err
}

// Check refuses where the repository or the file cannot be read.
func (r *Restore) Check(ctx context.Context, call act.Call) error {
	_, _, err := r.look(ctx, call.Target, true)
	return err
}

// Checkpoint keeps the live file.
func (r *Restore) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	_, stands, err := r.look(ctx, call.Target, false)
	if err != nil {
		return nil, err
	}
	if len(stands.live.content) > maxKept {
		return nil, jenner.Permanent(fmt.Errorf("%s has %d bytes; at most %d can be kept, so that it can be put back", stands.live.path,
			len(stands.live.content), maxKept), "restore it by hand")
	}
	was := kept{Existed: stands.live.exists, Content: stands.live.content, Want: stands.head.Blob}
	if was.Existed {
		was.Mode = stands.live.info.Mode().Perm()
	}
	return jenner.Raw(was), nil
}

// Fingerprint is the hash of the live file, and its mode.
func (*Restore) Fingerprint(_ context.Context, call act.Call) (string, error) {
	t, err := decode(call.Target)
	if err != nil {
		return "", err
	}
	now, err := readLive(t.File)
	return now.fingerprint(), err
}

// Happened compares the live file with what was to be written and with what was before.
func (r *Restore) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	_, stands, err := r.look(ctx, call.Target, false)
	if err != nil {
		return act.HappenedUnknown, err
	}
	now := stands.live
	switch {
	case now.exists && (stands.behind == 0 || blobName(now.content, was.Want) == was.Want):
		return act.HappenedDone, nil
	case now.exists == was.Existed && bytes.Equal(now.content, was.Content):
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

// Do restores the file. Where somebody else writes to it meanwhile, it looks again at theirs: it may be a deployment.
func (r *Restore) Do(ctx context.Context, call act.Call) (act.Result, error) {
	for range 5 {
		in, stands, err := r.look(ctx, call.Target, true)
		if err != nil {
			return act.Result{}, err
		}
		if stands.behind == 0 || stands.behind > 0 && r.Behind == behindKeep {
			return act.Result{Summary: unchanged(stands)}, nil
		}
		committed, err := in.content(ctx, stands.head.Blob)
		if err != nil {
			return act.Result{}, jenner.Retryable(err, "")
		}
		err = stands.live.put(committed, stands.head.Mode)
		if errors.Is(err, errMeanwhile) {
			continue
		}
		if err != nil {
			return act.Result{}, jenner.Retryable(err, "")
		}
		summary := fmt.Sprintf("%s is as committed in %s again", stands.live.path, short(stands.head.Commit))
		if stands.live.exists {
			summary += "; before, " + difference(committed, stands.live.content)
		}
		return act.Result{Summary: summary, Changed: true, Output: written{stands.live.path, stands.head.Commit}}, nil
	}
	return act.Result{}, jenner.Retryable(fmt.Errorf("%s was not restored: %w, five times", call.Target.Ref(), errMeanwhile), "")
}

// written is the output.
type written struct {
	File   string `json:"file"`
	Commit string `json:"commit"`
}

func unchanged(s standing) string {
	if s.behind == 0 {
		return s.String() + " already"
	}
	return s.String() + ": it waits for its deployment and is left as it is"
}

// Undo puts the content of before back, where the live file is a committed version, as the effect left it.
func (r *Restore) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, jenner.ForHuman(err, "look at the file and decide")
	}
	_, stands, err := r.look(ctx, call.Target, false)
	if err != nil {
		return act.Result{}, err
	}
	now := stands.live
	switch {
	case now.exists == was.Existed && bytes.Equal(now.content, was.Content):
		return act.Result{Summary: now.path + " is as it was before"}, nil
	case !now.exists || stands.behind == drifted:
		return act.Result{Summary: "left alone: " + stands.String() + ", so that somebody changed it since"}, nil
	case was.Existed:
		err = now.put(was.Content, was.Mode)
	default:
		err = now.remove()
	}
	if errors.Is(err, errMeanwhile) {
		return act.Result{Summary: "left alone: " + err.Error()}, nil
	}
	if err != nil {
		return act.Result{}, jenner.Retryable(err, "")
	}
	return act.Result{Summary: now.path + " is as it was before, changed by hand", Changed: true}, nil
}

// before reads a checkpoint.
func before(checkpoint json.RawMessage) (was kept, err error) {
	if len(checkpoint) == 0 {
		return was, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(checkpoint, &was); err != nil {
		return was, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return was, nil
}
