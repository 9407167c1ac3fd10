package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// actor is who writes intents and results down.
const actor = "jenner"

// Begin writes an intent down as intended, together with an audit entry of kind intent, before its effect happens.
// Where one with its key is there already, that one is given back as it stands and fresh is false: the effect may have
// happened.
func (s *Store) Begin(ctx context.Context, intent jenner.Intent) (stored jenner.Intent, fresh bool, err error) {
	err = s.change(ctx, "writing down intent "+intent.Key, func(t *tx) error {
		stored, fresh, err = t.begin(intent)
		return err
	})
	if err != nil {
		return jenner.Intent{}, false, err
	}
	return stored, fresh, nil
}

func (t *tx) begin(intent jenner.Intent) (stored jenner.Intent, fresh bool, err error) {
	if intent.Key == "" {
		return intent, false, jenner.Permanent(errors.New("an intent has no key"), "")
	}
	if intent.State != "" && intent.State != jenner.IntentIntended {
		return intent, false, jenner.Permanent(fmt.Errorf("intent %s begins as %q", intent.Key, intent.State), "end it with Finish")
	}
	if stored, err = t.intent(intent.Key); !errors.Is(err, jenner.ErrNotFound) {
		return stored, false, err
	}
	intent.State = jenner.IntentIntended
	stored = utcIntent(intent)
	body, err := text(stored)
	if err != nil {
		return stored, false, err
	}
	if err := t.exec("INSERT INTO intents (key, by, at, ended, state, body, sum) VALUES (?, ?, ?, 0, ?, ?, ?)",
		stored.Key, stored.By, stamp(stored.At), string(stored.State), body, bodySum(body)); err != nil {
		return stored, false, err
	}
	return stored, true, t.audit(jenner.AuditEntry{At: stored.At, Kind: "intent", Subject: stored.By, Actor: actor, Data: body})
}

// begins begins intents of which none may be there already.
func (t *tx) begins(intents []jenner.Intent) error {
	for _, intent := range intents {
		_, fresh, err := t.begin(intent)
		if err == nil && !fresh {
			err = fmt.Errorf("%w: intent %s was begun before", jenner.ErrConflict, intent.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Finish writes down what became of an intent, together with an audit entry of kind result. It takes the result fields
// of intent, from State on, and leaves the others as they were begun. Finishing again with the same result does
// nothing; with another one the error wraps jenner.ErrConflict. Where the key was never begun it wraps
// jenner.ErrNotFound.
func (s *Store) Finish(ctx context.Context, intent jenner.Intent) error {
	return s.change(ctx, "writing down the result of intent "+intent.Key, func(t *tx) error { return t.finish(intent) })
}

func (t *tx) finish(intents ...jenner.Intent) error {
	for _, intent := range intents {
		if intent.State == "" || intent.State == jenner.IntentIntended {
			return jenner.Permanent(fmt.Errorf("intent %s cannot finish as %q", intent.Key, intent.State), "say done, failed or unknown")
		}
		stored, err := t.intent(intent.Key)
		if err != nil {
			return err
		}
		finished := utcIntent(withResult(stored, intent))
		if stored.State != jenner.IntentIntended {
			if err := sameResult(stored, finished); err != nil {
				return err
			}
			continue
		}
		body, err := text(finished)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE intents SET ended = ?, state = ?, body = ?, sum = ? WHERE key = ?",
			stamp(endOf(finished)), string(finished.State), body, bodySum(body), finished.Key); err != nil {
			return err
		}
		if err := t.audit(jenner.AuditEntry{At: finished.EndedAt, Kind: "result", Subject: finished.By, Actor: actor,
			Data: jenner.Raw(resultOf(finished))}); err != nil {
			return err
		}
	}
	return nil
}

// result is what the audit log keeps of a finished intent; its beginning has an entry of its own.
type result struct {
	Key         string             `json:"key"`
	Action      string             `json:"action"`
	State       jenner.IntentState `json:"state"`
	Fingerprint string             `json:"fingerprint,omitempty"`
	Changed     bool               `json:"changed,omitempty"`
	Summary     string             `json:"summary,omitempty"`
	Output      json.RawMessage    `json:"output,omitempty"`
	Error       string             `json:"error,omitempty"`
	Next        jenner.What        `json:"next,omitempty"`
}

func resultOf(i jenner.Intent) result {
	return result{i.Key, i.Action, i.State, i.Fingerprint, i.Changed, i.Summary, i.Output, i.Error, i.Next}
}

// withResult keeps of intent only what is not its beginning: a field that the vocabulary gains belongs to the result
// unless it is named here.
func withResult(begun, intent jenner.Intent) jenner.Intent {
	intent.By, intent.Run, intent.Step, intent.Action, intent.Service = begun.By, begun.Run, begun.Step, begun.Action, begun.Service
	intent.Target, intent.Params, intent.Checkpoint, intent.Undo = begun.Target, begun.Params, begun.Checkpoint, begun.Undo
	intent.At, intent.Expires, intent.Before = begun.At, begun.Expires, begun.Before
	return intent
}

// sameResult compares what would be stored with what is stored.
func sameResult(stored, finished jenner.Intent) error {
	before, err := text(stored)
	if err != nil {
		return err
	}
	after, err := text(finished)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		return fmt.Errorf("%w: it ended as %s, and now as %s, or with another result", jenner.ErrConflict, stored.State, finished.State)
	}
	return nil
}

func utcIntent(intent jenner.Intent) jenner.Intent {
	intent.At, intent.Expires, intent.EndedAt = intent.At.UTC(), intent.Expires.UTC(), intent.EndedAt.UTC()
	return intent
}

// endOf is when a finished intent ended; where that was not said, when it began.
func endOf(intent jenner.Intent) time.Time {
	if intent.State != jenner.IntentIntended && intent.EndedAt.IsZero() {
		return intent.At
	}
	return intent.EndedAt
}

func (t *tx) intent(key string) (jenner.Intent, error) {
	intent, err := scanBody[jenner.Intent](t.row("SELECT body, sum FROM intents WHERE key = ?", key))
	if errors.Is(err, sql.ErrNoRows) {
		return jenner.Intent{}, fmt.Errorf("intent %s: %w", key, jenner.ErrNotFound)
	}
	return intent, err
}

// Intent gives the intent with that key; the error wraps jenner.ErrNotFound where there is none.
func (s *Store) Intent(ctx context.Context, key string) (jenner.Intent, error) {
	found, err := bodies[jenner.Intent](ctx, s, "reading intent "+key, "SELECT body, sum FROM intents WHERE key = ?", key)
	if err != nil {
		return jenner.Intent{}, err
	}
	if len(found) == 0 {
		return jenner.Intent{}, fmt.Errorf("intent %s: %w", key, jenner.ErrNotFound)
	}
	return found[0], nil
}

// OpenIntents gives the intents without a result, the oldest first: after a crash, what may or may not have happened.
func (s *Store) OpenIntents(ctx context.Context) ([]jenner.Intent, error) {
	return bodies[jenner.Intent](ctx, s, "reading the open intents",
		"SELECT body, sum FROM intents WHERE state = 'intended' ORDER BY at, rowid")
}
