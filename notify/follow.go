package notify

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner"
)

// FollowEvery is how often followers are told how incidents stand at least, also where nothing changed. What they show
// elsewhere should end by itself where they have not been told for three times as long: then nobody runs any more.
const FollowEvery = 30 * time.Second

// Follower is a notifier that also shows how incidents stand, for as long as they last.
type Follower interface {
	// Follow is told of all incidents that are open, and of those that a person has and whose alerts fire on: at every
	// change, and every FollowEvery. What was shown before and is not among them is over. An error is told once; the next
	// call tries again.
	Follow(ctx context.Context, all []Standing) error
}

// Standing is how an incident stands.
type Standing struct {
	Incident string
	Service  string
	Phase    jenner.Phase
	Severity jenner.Severity
	OpenedAt time.Time
	Channel  string // the policy's escalation channel
	Paged    bool   // a person was told over the channel
	Title    string
	Body     string
}

// Following tells whether any channel follows incidents.
func (r *Router) Following() bool { return len(r.followers()) > 0 }

func (r *Router) followers() map[string]Follower {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]Follower{}
	for name, notifier := range r.channels {
		if follower, does := notifier.(Follower); does {
			found[name] = follower
		}
	}
	return found
}

// Follow tells all channels that follow incidents how they stand, and waits for them: 15 s at most. That a person was told
// of an incident hears only the channel over which it was.
func (r *Router) Follow(ctx context.Context, all []Standing) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	followers := r.followers()
	answers := make(chan func(), len(followers))
	for name, follower := range followers {
		mine := make([]Standing, len(all))
		for i, standing := range all {
			mine[i] = standing
			mine[i].Paged = standing.Paged && standing.Channel == name
		}
		go func() {
			err := follower.Follow(ctx, mine)
			answers <- func() { r.followed(name, err) }
		}()
	}
	for range followers {
		select {
		case tell := <-answers:
			tell()
		case <-ctx.Done():
			return
		}
	}
}

// followed tells of a failure once, until it is over.
func (r *Router) followed(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaf == nil {
		r.deaf = map[string]bool{}
	}
	switch was := r.deaf[name]; {
	case err != nil && !was:
		r.log.Error("notify: a channel cannot show how incidents stand; it is tried on", "channel", name, "error", err)
	case err == nil && was:
		r.log.Info("notify: a channel shows again how incidents stand", "channel", name)
	}
	r.deaf[name] = err != nil
}
