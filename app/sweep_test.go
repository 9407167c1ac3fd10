package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/provider/core"
)

// meadow is a place on whose targets faults are written down.
type meadow struct {
	mu    sync.Mutex
	left  []chaos.Swept
	asked []jenner.Target
}

func (m *meadow) Sweep(_ context.Context, targets []jenner.Target, _ time.Time) ([]chaos.Swept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = targets
	swept := m.left
	m.left = nil
	return swept, nil
}

func (m *meadow) told() []jenner.Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

func (m *meadow) leave(faults ...chaos.Swept) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.asked = faults, nil
}

func (m *meadow) catalog() *catalog.Catalog {
	p := &catalog.Provider{Name: "meadow", Kinds: []string{"flower"}, Sweeper: m}
	p.Target("flower", "A flower", func() any { return &struct{}{} })
	return catalog.Merge(core.Provider, p)
}

const flowers = `
kind: service
name: garden
owner: gardeners
tier: 3
targets: [{kind: flower, name: rose}]
`

// TestFaultsThatSomebodyLeftAreTakenBack: at the start; and later by an undo, by the reaper, which know of the targets by the
// data directory alone, and on another machine, by the files.
func TestFaultsThatSomebodyLeftAreTakenBack(t *testing.T) {
	files, data := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "garden.yaml"), []byte(flowers), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &meadow{}
	m.leave(chaos.Swept{ID: "f-1", Fault: "meadow.wither", On: "rose", By: "somebody"})
	a, err := New(Options{Config: []string{files}, Data: data, Catalog: m.catalog(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var noted []string
	await.True(t, "the start notes what it undid", func() bool {
		entries, err := a.Store.AuditEntries(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if entry.Kind == "fault.undone" {
				noted = append(noted, entry.Subject)
			}
		}
		return len(noted) > 0
	})
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(noted) != "[rose]" {
		t.Errorf("the start noted %v", noted)
	}
	sweeps := map[string]func() error{
		"undo": func() error { return undoSwept(t, data, m.catalog(), nil) },
		"reaper": func() error {
			return Reap(t.Context(), data, m.catalog(), strings.NewReader(""), time.Second, slog.New(slog.DiscardHandler))
		},
		"files": func() error { return undoSwept(t, t.TempDir(), m.catalog(), []string{files}) },
	}
	for name, sweep := range sweeps {
		m.leave(chaos.Swept{ID: "f-2"})
		if err := sweep(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if asked := m.told(); len(asked) != 1 || asked[0].Name != "rose" || asked[0].Dir != files || len(m.left) > 0 {
			t.Errorf("%s asked about %+v, and left %v", name, asked, m.left)
		}
	}
}

// undoSwept takes back what is found, which must be one.
func undoSwept(t *testing.T, data string, all *catalog.Catalog, files []string) error {
	undoer, err := NewUndoer(data, all)
	if err != nil {
		return err
	}
	swept, err := undoer.Sweep(t.Context(), files)
	if err == nil && len(swept) != 1 {
		err = fmt.Errorf("it took back %v", swept)
	}
	return err
}

func TestWithoutSuchTargetsNothingIsRemembered(t *testing.T) {
	data := t.TempDir()
	if err := rememberSwept(data, []jenner.Target{{Kind: "flower", Name: "rose"}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rememberSwept(data, nil), rememberSwept(data, nil)); err != nil {
		t.Fatal(err)
	}
	if targets, err := rememberedSwept(data); err != nil || len(targets) > 0 {
		t.Errorf("remembered are %v, %v", targets, err)
	}
	if left, _ := os.ReadDir(data); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}
