package loop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// GamedayLine is the name under which the store keeps game days. No stage moves them on: whoever runs one does, and people
// write their words into it from other processes.
const GamedayLine = "gameday"

// The phases of a game day. The last is final.
const (
	GamedayOn   jenner.Phase = "on"
	GamedayOver jenner.Phase = "over"
)

// GamedayStore is what a game day is kept in.
type GamedayStore interface {
	Load(ctx context.Context, line, id string) (jenner.Record, error)
	Commit(ctx context.Context, change jenner.Change) error
}

// gamedayTries is how often a change is made again where somebody else came first. Only people and one runner write.
const gamedayTries = 50

// ChangeGameday applies a change to a game day that is on, again where somebody else came first, and gives what is stored
// then. apply gets the game day as it is stored, and the rest of the commit to fill; it may be called several times. A game
// day that is over is not changed any more: the error wraps jenner.ErrConflict.
func ChangeGameday(ctx context.Context, store GamedayStore, id string, now time.Time,
	apply func(run *jenner.GamedayRun, change *jenner.Change)) (jenner.GamedayRun, error) {
	for try := 1; ; try++ {
		record, err := store.Load(ctx, GamedayLine, id)
		if err != nil {
			return jenner.GamedayRun{}, err
		}
		run, err := GamedayOf(record)
		if err != nil {
			return run, err
		}
		if record.Ended {
			return run, fmt.Errorf("game day %s is over: %w", id, jenner.ErrConflict)
		}
		change := jenner.Change{Record: record}
		change.Record.Updated = now
		apply(&run, &change)
		change.Record.State, change.Record.Ended = jenner.Raw(run), !run.EndedAt.IsZero()
		if change.Record.Ended {
			change.Record.Phase = GamedayOver
		}
		if err = store.Commit(ctx, change); !errors.Is(err, jenner.ErrConflict) || try == gamedayTries {
			return run, err
		}
	}
}

// GamedayOf reads the record of a game day.
func GamedayOf(record jenner.Record) (jenner.GamedayRun, error) {
	var run jenner.GamedayRun
	if err := json.Unmarshal(record.State, &run); err != nil {
		return run, fmt.Errorf("game day %s cannot be read: %w", record.ID, err)
	}
	return run, nil
}

// Say writes down what a person says during a game day.
func Say(ctx context.Context, store GamedayStore, id string, word jenner.Word) (jenner.GamedayRun, error) {
	return ChangeGameday(ctx, store, id, word.At, func(run *jenner.GamedayRun, change *jenner.Change) {
		run.Words = append(run.Words, word)
		change.Timeline = []jenner.Entry{{At: word.At, Phase: GamedayOn, Kind: string(word.Kind), Text: wordText(word), Data: jenner.Raw(word)}}
		change.Audit = []jenner.AuditEntry{{At: word.At, Kind: "gameday." + string(word.Kind), Subject: id, Actor: word.Person,
			Data: jenner.Raw(word)}}
	})
}

func wordText(word jenner.Word) string {
	text := word.Person
	if word.Service != "" {
		text += ", about " + word.Service
	}
	if word.Text != "" {
		text += ": " + word.Text
	}
	return text
}
