package decide

import (
	"testing"

	"github.com/jenner-heal/jenner"
)

func TestL17WhatAnotherControllerOwnsIsNotChangedBehindItsBack(t *testing.T) {
	owned := func(owners ...Ownership) Input { return crashedBut(func(in *Input) { in.Owners = owners }) }
	by := func(controller, through string) Ownership {
		return Ownership{Step: "again", Service: "checkout", Target: jenner.TargetRef{Kind: "deployment", Name: "web"}, Controller: controller, Through: through}
	}
	theirs := Ownership{Step: "again", Service: "partner", Target: jenner.TargetRef{Kind: "process", Name: "partner"}, External: true}
	const refused = "argocd owns checkout/deployment/web and would put back what step again changes; act through it (through: argocd), or let argocd do it"
	check(t, owner, []said{
		{"nobody's", owned(), jenner.DecideAct, "no other controller owns what would be changed", 0, numbers{"owned": "0"}},
		{"looked for and not found", owned(by("", "argocd")), jenner.DecideAct, "no other controller owns what would be changed", 0, nil},
		{"behind its back", owned(by("argocd", "")), jenner.DecideRefuse, refused, 0, numbers{"owned": "1", "again_owner": "argocd"}},
		{"through it", owned(by("argocd", "argocd")), jenner.DecideAct,
			"step again acts through argocd, which owns checkout/deployment/web", 0, numbers{"again_through": "argocd"}},
		{"through another one", owned(by("argocd", "flux")), jenner.DecideRefuse, refused, 0, nil},
		{"a third party's", owned(theirs), jenner.DecideRefuse,
			"partner/process/partner belongs to a third party, and step again would change it; only people may ask that one to", 0,
			numbers{"again_owner": "a third party"}},
		{"one step through it, one not", owned(by("argocd", "argocd"), by("argocd", "")), jenner.DecideRefuse, refused, 0, nil},
	})
	if got := Decide(owned(by("argocd", ""))); got.Outcome != jenner.DecideRefuse || got.Stopper().Guard != "owner" {
		t.Errorf("decided %s by %s", got.Outcome, got.Stopper().Guard)
	}
}
