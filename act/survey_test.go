package act

import (
	"context"
	"testing"

	"github.com/jenner-heal/jenner"
)

// sized is an action of a size that its test says.
type sized struct{ size Size }

func (s sized) Size(context.Context, Call) (Size, error) { return s.size, nil }
func (sized) Do(context.Context, Call) (Result, error)   { return Result{}, nil }
func limitOf(t *testing.T, text string) (limit jenner.Limit) {
	t.Helper()
	if err := limit.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return limit
}

// TestWhatKeepsToItsLimitWantsNoMoreThanThat: 40 of 50 connections are meant, and 15 % of 50 may be ended at once. An action
// that does not look at what it is allowed still wants all of them, so that the guards refuse it.
func TestWhatKeepsToItsLimitWantsNoMoreThanThat(t *testing.T) {
	for _, c := range []struct {
		name    string
		bounded bool
		radius  jenner.BlastRadius
		want    int
	}{
		{"bounded", true, jenner.BlastRadius{"max_connections": limitOf(t, "15%")}, 7},
		{"bounded, and wants less", true, jenner.BlastRadius{"max_connections": limitOf(t, "90%")}, 40},
		{"bounded without a limit", true, nil, 40},
		{"bounded in another unit", true, jenner.BlastRadius{"max_targets": limitOf(t, "1")}, 40},
		{"not bounded", false, jenner.BlastRadius{"max_connections": limitOf(t, "15%")}, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			stepper := &Stepper{
				Docs: func() *jenner.Documents {
					return &jenner.Documents{Services: []jenner.Service{{Name: "db", Targets: []jenner.Target{{Kind: "postgres", Name: "db"}}}}}
				},
				Host: func(*jenner.Incident) Host { return Host{} },
				Action: func(name, _ string, _ jenner.Params) (string, Action, error) {
					return name, sized{Size{Unit: "connections", Want: 40, Total: 50, Bounded: c.bounded}}, nil
				},
			}
			book := jenner.Runbook{Name: "drain", Steps: []jenner.Step{{Name: "cut", Action: "cut", BlastRadius: c.radius}}}
			surveyed, err := stepper.Survey(t.Context(), &jenner.Incident{Service: "db"}, book, jenner.TargetRef{Kind: "postgres", Name: "db"})
			if err != nil {
				t.Fatal(err)
			}
			if got := surveyed[0].Size; got.Want != c.want || got.Total != 50 {
				t.Errorf("%+v, want %d of 50", got, c.want)
			}
		})
	}
}
