package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

func (s *state) putFacts(change jenner.Change) {
	s.putLedger(change.Ledger)
	for _, outcome := range change.Outcomes {
		outcome.At = utc(outcome.At)
		s.outcomes = insert(s.outcomes, timed[jenner.Outcome]{outcome.At, s.next(), outcome}, byTime)
	}
	for _, proof := range change.Proofs {
		proof.At = utc(proof.At)
		s.proofs = insert(s.proofs, timed[[]byte]{proof.At, s.next(), jenner.Raw(proof)}, byTime)
	}
	for _, judgement := range change.Judgements {
		judgement.At = utc(judgement.At)
		one := timed[jenner.Judgement]{judgement.At, s.next(), judgement}
		s.judgements[judgement.Policy] = insert(s.judgements[judgement.Policy], one, byTime)
	}
}

// Outcomes gives how incidents ended, from since on, the oldest first.
func (s *Store) Outcomes(ctx context.Context, since time.Time) ([]jenner.Outcome, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return valuesSince(s.outcomes, since), nil
}

// Proofs gives every verdict that was kept, the oldest first.
func (s *Store) Proofs(ctx context.Context) ([]jenner.Proof, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	proofs := make([]jenner.Proof, len(s.proofs))
	for i, stored := range s.proofs {
		if err := json.Unmarshal(stored.value, &proofs[i]); err != nil {
			return nil, fmt.Errorf("a stored proof: %w", err)
		}
	}
	return proofs, nil
}

// Judgements gives what became clear about the decisions of a policy, of every policy where none is named, from since
// on, the oldest first.
func (s *Store) Judgements(ctx context.Context, policy string, since time.Time) ([]jenner.Judgement, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	list := s.judgements[policy]
	if policy == "" {
		list = nil
		for _, others := range s.judgements {
			list = append(list, others...)
		}
		slices.SortFunc(list, byTime)
	}
	return valuesSince(list, since), nil
}
