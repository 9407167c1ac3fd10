package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

func (t *tx) putOutcomes(outcomes []jenner.Outcome) error {
	for _, outcome := range outcomes {
		outcome.At = outcome.At.UTC()
		body, err := text(outcome)
		if err != nil {
			return err
		}
		if err := t.exec("INSERT INTO outcomes (at, body, sum) VALUES (?, ?, ?)", stamp(outcome.At), body, bodySum(body)); err != nil {
			return err
		}
	}
	return nil
}

// Outcomes gives how incidents ended, from since on, the oldest first.
func (s *Store) Outcomes(ctx context.Context, since time.Time) ([]jenner.Outcome, error) {
	return bodies[jenner.Outcome](ctx, s, "reading the outcomes",
		"SELECT body, sum FROM outcomes WHERE at >= ? ORDER BY at, n", from(since))
}

func (t *tx) putProofs(proofs []jenner.Proof) error {
	for _, proof := range proofs {
		proof.At = proof.At.UTC()
		body, err := text(proof)
		if err != nil {
			return err
		}
		if err := t.exec("INSERT INTO proofs (at, body, sum) VALUES (?, ?, ?)", stamp(proof.At), body, bodySum(body)); err != nil {
			return err
		}
	}
	return nil
}

// Proofs gives every verdict that was kept, the oldest first.
func (s *Store) Proofs(ctx context.Context) ([]jenner.Proof, error) {
	return bodies[jenner.Proof](ctx, s, "reading the proofs", "SELECT body, sum FROM proofs ORDER BY at, n")
}

func (t *tx) putJudgements(judgements []jenner.Judgement) error {
	for _, judgement := range judgements {
		judgement.At = judgement.At.UTC()
		body, err := text(judgement)
		if err != nil {
			return err
		}
		if err := t.exec("INSERT INTO judgements (policy, at, body, sum) VALUES (?, ?, ?, ?)",
			judgement.Policy, stamp(judgement.At), body, bodySum(body)); err != nil {
			return err
		}
	}
	return nil
}

// Judgements gives what became clear about the decisions of a policy, of every policy where none is named, from since
// on, the oldest first.
func (s *Store) Judgements(ctx context.Context, policy string, since time.Time) ([]jenner.Judgement, error) {
	if policy == "" {
		return bodies[jenner.Judgement](ctx, s, "reading the judgements",
			"SELECT body, sum FROM judgements WHERE at >= ? ORDER BY at, n", from(since))
	}
	return bodies[jenner.Judgement](ctx, s, "reading the judgements of policy "+policy,
		"SELECT body, sum FROM judgements WHERE policy = ? AND at >= ? ORDER BY at, n", policy, from(since))
}

// bodies gives the values of a query for bodies and their sums.
func bodies[T any](ctx context.Context, s *Store, what, query string, args ...any) ([]T, error) {
	var values []T
	err := s.ask(ctx, s, what, func(row *sql.Rows) error {
		value, err := scanBody[T](row)
		values = append(values, value)
		return err
	}, query, args...)
	return values, err
}

func scanBody[T any](row scanner) (value T, err error) {
	var body []byte
	var sum int64
	if err := row.Scan(&body, &sum); err != nil {
		return value, err
	}
	if sum != bodySum(body) {
		return value, fmt.Errorf("%w: a %T", errDamaged, value)
	}
	if err := json.Unmarshal(body, &value); err != nil {
		return value, fmt.Errorf("a stored %T is not the JSON that was written: %w", value, err)
	}
	return value, nil
}

// from is the lower bound of a time column: the zero time, which is stored as a number in the middle, means 'from the
// beginning'.
func from(since time.Time) any {
	if since.IsZero() {
		return stamp(earliest)
	}
	return stamp(since)
}
