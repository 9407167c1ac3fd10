package main

import (
	"slices"
	"testing"

	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/reference"
)

// TestTheReferenceIsFresh fails as soon as code and docs/reference say different things.
func TestTheReferenceIsFresh(t *testing.T) {
	pages, err := reference.Pages(referenceInput("../.."))
	if err != nil {
		t.Fatal(err)
	}
	stale, err := reference.Stale("../../docs/reference", pages)
	if err != nil {
		t.Fatal(err)
	}
	if len(stale) > 0 {
		t.Errorf("%v in docs/reference are not what the code says; run make reference", stale)
	}
}

// TestTheReferenceKnowsEveryKind compares the page with what the files may hold.
func TestTheReferenceKnowsEveryKind(t *testing.T) {
	described := slices.Sorted(slices.Values(reference.Kinds()))
	if !slices.Equal(described, config.Kinds()) {
		t.Errorf("the page describes %v, and the files may hold %v", described, config.Kinds())
	}
}
