package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// intent is kept as the JSON that goes to disk elsewhere, so that nobody holds a part of it.
type intent struct {
	key   string
	body  []byte
	by    string
	state jenner.IntentState
	at    time.Time
	ended time.Time
	order int64
	told  []jenner.AuditEntry // what the audit log is to be told
}

func byBeginning(a, b *intent) int { return earlier(a.at, a.order, b.at, b.order) }

func (i *intent) value() (value jenner.Intent, err error) {
	if err := json.Unmarshal(i.body, &value); err != nil {
		return value, fmt.Errorf("a stored intent: %w", err)
	}
	return value, nil
}

func inUTC(given jenner.Intent) jenner.Intent {
	given.At, given.Expires, given.EndedAt = utc(given.At), utc(given.Expires), utc(given.EndedAt)
	return given
}

// Begin writes an intent down as intended, together with an audit entry of kind intent. Where one with its key is there
// already, that one is given back as it stands and fresh is false.
func (s *Store) Begin(ctx context.Context, given jenner.Intent) (stored jenner.Intent, fresh bool, err error) {
	mine, err := beginning(given)
	if err != nil {
		return jenner.Intent{}, false, err
	}
	if err := s.enter(ctx); err != nil {
		return jenner.Intent{}, false, err
	}
	defer s.mu.Unlock()
	if before, known := s.intents[given.Key]; known {
		stored, err := before.value()
		return stored, false, err
	}
	s.begin(mine)
	stored, err = mine.value()
	return stored, true, err
}

// beginning is an intent as it is stored, with the entry of the audit log, before it is.
func beginning(given jenner.Intent) (*intent, error) {
	if given.Key == "" {
		return nil, jenner.Permanent(errors.New("an intent has no key"), "")
	}
	if given.State != "" && given.State != jenner.IntentIntended {
		return nil, jenner.Permanent(fmt.Errorf("intent %s begins as %q", given.Key, given.State), "end it with Finish")
	}
	given = inUTC(given)
	given.State = jenner.IntentIntended
	if err := storable(given.At); err != nil {
		return nil, err
	}
	body, err := json.Marshal(given)
	if err != nil {
		return nil, fmt.Errorf("intent %s cannot be written as JSON: %w", given.Key, err)
	}
	mine := &intent{key: given.Key, body: body, by: given.By, state: given.State, at: given.At}
	mine.told, err = auditable([]jenner.AuditEntry{{At: given.At, Kind: "intent", Subject: given.By, Actor: "jenner", Data: body}})
	return mine, err
}

func (s *state) begin(mine *intent) {
	mine.order = s.next()
	s.intents[mine.key] = mine
	s.opened = insert(s.opened, mine, byBeginning)
	s.entries = append(s.entries, mine.told...)
	mine.told = nil
}

// Finish writes down what became of an intent, together with an audit entry of kind result. It takes the result fields
// of the given intent, from State on. Finishing again with the same result does nothing; with another one the error
// wraps jenner.ErrConflict. Where the key was never begun it wraps jenner.ErrNotFound.
func (s *Store) Finish(ctx context.Context, given jenner.Intent) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	ended, err := s.ending(given)
	if err == nil {
		s.finish(ended)
	}
	return err
}

// ending is what an intent becomes by a result, before it does; nil where it has that result already.
func (s *state) ending(given jenner.Intent) (*intent, error) {
	if given.State == "" || given.State == jenner.IntentIntended {
		return nil, jenner.Permanent(fmt.Errorf("intent %s cannot finish as %q", given.Key, given.State), "say done, failed or unknown")
	}
	if err := storable(given.EndedAt); err != nil {
		return nil, err
	}
	before, known := s.intents[given.Key]
	if !known {
		return nil, fmt.Errorf("intent %s: %w", given.Key, jenner.ErrNotFound)
	}
	begun, err := before.value()
	if err != nil {
		return nil, err
	}
	given = inUTC(withResult(begun, given))
	body, err := json.Marshal(given)
	if err != nil {
		return nil, fmt.Errorf("intent %s cannot be written as JSON: %w", given.Key, err)
	}
	if before.state != jenner.IntentIntended {
		if !bytes.Equal(body, before.body) {
			return nil, fmt.Errorf("intent %s: %w: it ended as %s, and now as %s, or with another result", given.Key, jenner.ErrConflict, before.state, given.State)
		}
		return nil, nil
	}
	after := &intent{key: given.Key, body: body, state: given.State, ended: given.EndedAt}
	after.told, err = auditable([]jenner.AuditEntry{{At: given.EndedAt, Kind: "result", Subject: given.By, Actor: "jenner", Data: resultOf(given)}})
	if after.ended.IsZero() {
		after.ended = before.at
	}
	return after, err
}

func (s *state) finish(after *intent) {
	if after == nil {
		return
	}
	before := s.intents[after.key]
	s.opened = remove(s.opened, before, byBeginning)
	before.body, before.state, before.ended = after.body, after.state, after.ended
	s.entries = append(s.entries, after.told...)
}

// withResult takes what is not the result from the beginning.
func withResult(begun, given jenner.Intent) jenner.Intent {
	given.By, given.Run, given.Step, given.Action, given.Service = begun.By, begun.Run, begun.Step, begun.Action, begun.Service
	given.Target, given.Params, given.Checkpoint, given.Undo = begun.Target, begun.Params, begun.Checkpoint, begun.Undo
	given.At, given.Expires, given.Before = begun.At, begun.Expires, begun.Before
	return given
}

// resultOf is what the audit log keeps of a finished intent, as store/sqlite writes it.
func resultOf(i jenner.Intent) json.RawMessage {
	return jenner.Raw(struct {
		Key         string             `json:"key"`
		Action      string             `json:"action"`
		State       jenner.IntentState `json:"state"`
		Fingerprint string             `json:"fingerprint,omitempty"`
		Changed     bool               `json:"changed,omitempty"`
		Summary     string             `json:"summary,omitempty"`
		Output      json.RawMessage    `json:"output,omitempty"`
		Error       string             `json:"error,omitempty"`
		Next        jenner.What        `json:"next,omitempty"`
	}{i.Key, i.Action, i.State, i.Fingerprint, i.Changed, i.Summary, i.Output, i.Error, i.Next})
}

// Intent gives the intent with that key; the error wraps jenner.ErrNotFound where there is none.
func (s *Store) Intent(ctx context.Context, key string) (jenner.Intent, error) {
	if err := s.enter(ctx); err != nil {
		return jenner.Intent{}, err
	}
	defer s.mu.Unlock()
	stored, known := s.intents[key]
	if !known {
		return jenner.Intent{}, fmt.Errorf("intent %s: %w", key, jenner.ErrNotFound)
	}
	return stored.value()
}

// OpenIntents gives the intents without a result, the oldest first.
func (s *Store) OpenIntents(ctx context.Context) ([]jenner.Intent, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	intents := make([]jenner.Intent, len(s.opened))
	for i, stored := range s.opened {
		var err error
		if intents[i], err = stored.value(); err != nil {
			return nil, err
		}
	}
	return intents, nil
}
