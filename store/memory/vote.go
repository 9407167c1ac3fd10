package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jenner-heal/jenner"
)

type vote struct {
	jenner.Vote
	order int64
}

// thing is what votes are on: a request, or what runs of a runbook come on a service.
type thing struct{ request, service, runbook string }

func (v *vote) on() thing {
	if v.Request != "" {
		return thing{request: v.Request}
	}
	return thing{service: v.Service, runbook: v.Runbook}
}

type votes struct {
	byKey map[string]*vote
	byOn  map[thing][]*vote // the oldest first
}

func newVotes() votes { return votes{byKey: map[string]*vote{}, byOn: map[thing][]*vote{}} }

func byVoting(a, b *vote) int { return earlier(a.At, a.order, b.At, b.order) }

func (v *votes) put(one *vote) {
	if before, known := v.byKey[one.Key()]; known {
		v.take(before)
	}
	v.byKey[one.Key()] = one
	v.byOn[one.on()] = insert(v.byOn[one.on()], one, byVoting)
}

func (v *votes) take(one *vote) {
	delete(v.byKey, one.Key())
	v.byOn[one.on()] = remove(v.byOn[one.on()], one, byVoting)
	if len(v.byOn[one.on()]) == 0 {
		delete(v.byOn, one.on())
	}
}

// PutVote keeps a person's word, together with an audit entry of kind vote; a later word on the same thing takes the
// place of an earlier one. The very same word again changes nothing and is no further entry. A word given ahead is the
// same only where it holds until the same time.
//
// A vote without a person is refused, and so is one that is neither on a request nor on a service and a runbook until a
// time.
func (s *Store) PutVote(ctx context.Context, given jenner.Vote) error {
	subject := given.Request
	switch {
	case given.Person == "":
		return jenner.Permanent(errors.New("a vote does not say whose it is"), "name the person")
	case subject != "":
	case given.Service == "" || given.Runbook == "" || given.Until.IsZero():
		return jenner.Permanent(fmt.Errorf("the vote of %s does not say on what", given.Person),
			"name a request; or, to agree ahead, a service, a runbook and until when")
	default:
		subject = given.Service + "/" + given.Runbook
	}
	if err := storable(given.At, given.Until); err != nil {
		return err
	}
	given.At, given.Until = utc(given.At), utc(given.Until)
	entries, err := auditable([]jenner.AuditEntry{{At: given.At, Kind: "vote", Subject: subject, Actor: given.Person, Data: jenner.Raw(given)}})
	if err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if stored, known := s.votes.byKey[given.Key()]; known {
		if stored.Person != given.Person {
			return jenner.Permanent(fmt.Errorf("the vote of %s would take the place of a word of %s", given.Person, stored.Person),
				"leave blanks out of the names of people, services and runbooks")
		}
		if stored.Yes == given.Yes && stored.Until.Equal(given.Until) {
			return nil
		}
	}
	s.votes.put(&vote{given, s.next()})
	s.entries = append(s.entries, entries...)
	return nil
}

// Votes gives the words on a request, where one is named, and those that were given ahead for a runbook on a service, the
// oldest first. Of the latter also those whose time is over; jenner.Vote.Ahead tells.
func (s *Store) Votes(ctx context.Context, request, service, runbook string) ([]jenner.Vote, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	found := slices.Clone(s.votes.byOn[thing{service: service, runbook: runbook}])
	if request != "" {
		found = append(found, s.votes.byOn[thing{request: request}]...)
	}
	slices.SortFunc(found, byVoting)
	votes := make([]jenner.Vote, len(found))
	for i, one := range found {
		votes[i] = one.Vote
	}
	return votes, nil
}
