package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
)

// PutVote keeps a person's word, together with an audit entry of kind vote; a later word on the same thing takes the
// place of an earlier one. The very same word again changes nothing and is no further entry: a person who agrees twice
// agreed once, at the time of the first word. A word given ahead is the same only where it holds until the same time.
//
// A vote without a person is refused, and so is one that is neither on a request nor on a service and a runbook until a
// time.
func (s *Store) PutVote(ctx context.Context, vote jenner.Vote) error {
	subject, err := voteSubject(vote)
	if err != nil {
		return err
	}
	vote.At, vote.Until = vote.At.UTC(), vote.Until.UTC()
	return s.change(ctx, fmt.Sprintf("keeping the vote of %s on %s", vote.Person, subject), func(t *tx) error {
		stored, err := t.vote(vote.Key())
		switch {
		case err == nil && sameWord(stored, vote):
			return nil
		case err == nil && stored.Person != vote.Person:
			return jenner.Permanent(fmt.Errorf("it would take the place of a word of %s", stored.Person),
				"leave blanks out of the names of people, services and runbooks")
		case err != nil && !errors.Is(err, jenner.ErrNotFound):
			return err
		}
		if err := t.putVote(vote); err != nil {
			return err
		}
		return t.audit(jenner.AuditEntry{At: vote.At, Kind: "vote", Subject: subject, Actor: vote.Person, Data: jenner.Raw(vote)})
	})
}

// voteSubject is what a vote is about: a request, or SERVICE/RUNBOOK where it was given ahead.
func voteSubject(vote jenner.Vote) (string, error) {
	switch {
	case vote.Person == "":
		return "", jenner.Permanent(errors.New("a vote does not say whose it is"), "name the person")
	case vote.Request != "":
		return vote.Request, nil
	case vote.Service != "" && vote.Runbook != "" && !vote.Until.IsZero():
		return vote.Service + "/" + vote.Runbook, nil
	}
	return "", jenner.Permanent(fmt.Errorf("the vote of %s does not say on what", vote.Person),
		"name a request; or, to agree ahead, a service, a runbook and until when")
}

func sameWord(stored, vote jenner.Vote) bool {
	return stored.Request == vote.Request && stored.Service == vote.Service && stored.Runbook == vote.Runbook &&
		stored.Person == vote.Person && stored.Yes == vote.Yes && stored.Until.Equal(vote.Until)
}

func (t *tx) vote(key string) (jenner.Vote, error) {
	vote, err := scanBody[jenner.Vote](t.row("SELECT body, sum FROM votes WHERE key = ?", key))
	if errors.Is(err, sql.ErrNoRows) {
		return vote, jenner.ErrNotFound
	}
	return vote, err
}

func (t *tx) putVote(vote jenner.Vote) error {
	body, err := text(vote)
	if err != nil {
		return err
	}
	return t.exec("INSERT OR REPLACE INTO votes (key, request, service, runbook, at, until, body, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		vote.Key(), vote.Request, vote.Service, vote.Runbook, stamp(vote.At), stamp(vote.Until), body, bodySum(body))
}

// Votes gives the words on a request, where one is named, and those that were given ahead for a runbook on a service, the
// oldest first. Of the latter also those whose time is over; jenner.Vote.Ahead tells.
func (s *Store) Votes(ctx context.Context, request, service, runbook string) ([]jenner.Vote, error) {
	return bodies[jenner.Vote](ctx, s, "reading the votes", `SELECT body, sum FROM votes
		WHERE (request <> '' AND request = ?) OR (request = '' AND service = ? AND runbook = ?) ORDER BY at, rowid`,
		request, service, runbook)
}
