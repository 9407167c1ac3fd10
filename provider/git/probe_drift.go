package git

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("drift", "Is the live file what the Git repository says?", func() telemetry.Probe {
		return &ProbeDrift{Behind: behindOK, Versions: 20, FetchEvery: jenner.Duration(time.Minute)}
	})
}

// What a live file is that is an older version.
const (
	behindOK    = "ok"
	behindDrift = "drift"
)

// ProbeDrift compares the live file with the head of the branch. The newest version is OK. An older version is one whose
// deployment has not come yet, which by default is OK too: what was changed through Git is on its way. What is no
// committed version was changed by hand: Failed, with the difference. Where the repository cannot be asked, the answer is
// Unknown.
//
// Before a file from elsewhere is said to have drifted, the repository is fetched, so that a change which was pushed and
// deployed a moment ago is not taken for one made by hand.
type ProbeDrift struct {
	// Target is the name of the service's target; the only one of kind gitfile where not said.
	Target string `json:"target,omitempty"`
	// Behind is what an older version is: ok, or drift. ok where not said.
	Behind string `json:"behind,omitempty"`
	// Versions is how many of the last versions count as older ones; 20 where not said.
	Versions int `json:"versions,omitempty"`
	// FetchEvery is how often a repository from elsewhere is fetched while the file is as it is to be; 1m where not said.
	FetchEvery jenner.Duration `json:"fetch_every,omitempty"`

	fetched time.Time // when it was fetched last
}

// Validate checks the parameters.
func (p *ProbeDrift) Validate() error {
	if p.Behind != behindOK && p.Behind != behindDrift {
		return fmt.Errorf("behind is %q; write ok or drift", p.Behind)
	}
	if p.Versions < 1 {
		return fmt.Errorf("versions is %d; write 1 or more", p.Versions)
	}
	return nil
}

// Probe compares once.
func (p *ProbeDrift) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	said, err := p.look(ctx, call)
	switch {
	case err != nil && ctx.Err() != nil:
		return telemetry.ResultOf(ctx, err)
	case err != nil:
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	case said != "":
		return telemetry.Result{Outcome: telemetry.Failed, Message: said}
	}
	return telemetry.Result{Outcome: telemetry.OK}
}

// look says how the file has drifted; nothing where it has not.
func (p *ProbeDrift) look(ctx context.Context, call telemetry.ProbeCall) (string, error) {
	target, err := named(call.Service, p.Target)
	if err != nil {
		return "", err
	}
	t, err := decode(target)
	if err != nil {
		return "", err
	}
	in, err := t.open()
	if err != nil {
		return "", err
	}
	fresh := false
	if time.Since(p.fetched) >= p.FetchEvery.Or(time.Minute) {
		if fresh, err = p.fetch(ctx, in); err != nil {
			return "", err
		}
	}
	stands, err := in.stand(ctx, p.Versions)
	if err == nil && p.hasDrifted(stands) && !fresh {
		if fresh, err = p.fetch(ctx, in); err == nil && fresh {
			stands, err = in.stand(ctx, p.Versions)
		}
	}
	if err != nil || !p.hasDrifted(stands) {
		return "", err
	}
	return said(ctx, in, stands)
}

func (p *ProbeDrift) fetch(ctx context.Context, in repository) (asked bool, err error) {
	began := time.Now()
	if asked, err = in.fetch(ctx); err == nil {
		p.fetched = began
	}
	return asked, err
}

func (p *ProbeDrift) hasDrifted(s standing) bool {
	return s.behind == drifted || s.behind > 0 && p.Behind == behindDrift
}

// said is the drift in words, with the lines that differ.
func said(ctx context.Context, in repository, s standing) (string, error) {
	if !s.live.exists {
		return s.String(), nil
	}
	committed, err := in.content(ctx, s.head.Blob)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; against %s at %s, %s", s, in.target.Path, short(s.head.Commit), difference(committed, s.live.content)), nil
}
