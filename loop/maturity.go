package loop

import (
	"context"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

// History is what was judged and proved.
type History interface {
	Judgements(ctx context.Context, policy string, since time.Time) ([]jenner.Judgement, error)
	Proofs(ctx context.Context) ([]jenner.Proof, error)
}

// Maturity is where each policy stands on the ladder for each service that it is for, runbook by runbook, in the order
// of the files. services narrows it down; none means all.
func Maturity(ctx context.Context, history History, docs *jenner.Documents, now time.Time, services ...string) ([]jenner.Standing, error) {
	proofs, err := history.Proofs(ctx)
	if err != nil {
		return nil, err
	}
	proofs = current(proofs, docs)
	judgements, err := history.Judgements(ctx, "", time.Time{})
	if err != nil {
		return nil, err
	}
	standings := []jenner.Standing{}
	for _, service := range docs.Services {
		if len(services) > 0 && !slices.Contains(services, service.Name) {
			continue
		}
		for _, policy := range docs.Policies {
			if !policy.Services.Picks(service) || service.External {
				continue
			}
			for _, name := range policy.Runbooks {
				if book, known := docs.Runbook(name); known {
					standings = append(standings, learn.Stand(learn.Evidence{Policy: policy, Service: service, Runbook: book,
						Judgements: judgements, Proofs: proofs, Now: now}))
				}
			}
		}
	}
	return standings, nil
}
