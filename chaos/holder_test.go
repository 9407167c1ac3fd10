package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// files is a provider whose one fault keeps a file where none should be.
var files = func() *catalog.Provider {
	provider := &catalog.Provider{Name: "files", Kinds: []string{"folder"}}
	provider.Fault("litter", "Keep a file in a folder", func() chaos.Fault { return &litter{} })
	return provider
}()

var makeFault = catalog.Merge(files).MakeFault

// litter is a fault that a process holds.
type litter struct {
	chaos.HeldElsewhere
	Fails string `json:"fails,omitempty"` // what goes wrong when it is made
}

func (litter) path(call chaos.Call) string { return filepath.Join(call.Record.Target.Dir, "litter") }

func (l litter) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	if _, err := os.Stat(call.Record.Target.Dir); err != nil {
		return nil, err
	}
	return jenner.Raw("nothing"), nil
}

func (l litter) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	_, err := os.Stat(l.path(call))
	return fmt.Sprint("littered ", err == nil), nil
}

func (l litter) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	if l.Fails != "" {
		return errors.New(l.Fails)
	}
	if err := os.WriteFile(l.path(call), nil, 0o600); err != nil {
		return err
	}
	tell("littering")
	<-ctx.Done()
	return os.Remove(l.path(call))
}

func (l litter) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return chaos.Witness{Bit: call.Held.Alive, Saw: string(call.Held.Report)}, nil
}

func (l litter) Undo(_ context.Context, call chaos.Call) error {
	if err := os.Remove(l.path(call)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func litterWorld(t *testing.T) faulttest.World {
	return faulttest.World{Fault: func() chaos.Fault { return &litter{} },
		Record: jenner.FaultRecord{ID: "d-litter", Fault: "files.litter", Target: jenner.Target{Kind: "folder", Name: "here", Dir: t.TempDir()}},
		Absent: jenner.Target{Kind: "folder", Name: "nowhere", Dir: filepath.Join(t.TempDir(), "nowhere")}}
}

func TestAHolderConforms(t *testing.T) { faulttest.Run(t, litterWorld) }

func TestL21AHolderEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, litterWorld) }

// holding is an injector whose holders are real processes.
func holding(t *testing.T) *chaos.Injector { return faulttest.Injector(t, makeFault) }

// TestL21AHolderThatDiedIsNotRenewed: the fault is over, and whoever goes on as if it held would judge what is not there.
func TestL21AHolderThatDiedIsNotRenewed(t *testing.T) {
	injector := holding(t)
	record, err := injector.Inject(t.Context(), litterWorld(t).Record, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if record, err = injector.Renew(t.Context(), record, time.Minute); err != nil {
		t.Fatalf("a holder that lives is not renewed: %v", err)
	}
	if err := injector.Holders.End(t.Context(), record.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := injector.Renew(t.Context(), record, time.Minute); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("the renewal of a fault that nobody holds says %v", err)
	}
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Error(err)
	}
}

// TestAFaultThatCannotBeMadeSaysWhy: what the holder said reaches the person, and nothing of the fault stays.
func TestAFaultThatCannotBeMadeSaysWhy(t *testing.T) {
	injector := holding(t)
	record := litterWorld(t).Record
	record.Params = jenner.Params{"fails": jenner.Raw("the folder is cursed")}
	_, err := injector.Inject(t.Context(), record, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "the folder is cursed") {
		t.Errorf("the injection says %v", err)
	}
	open, err := injector.Journal.Open()
	if err != nil || len(open) > 0 {
		t.Errorf("the journal holds %v, %v", open, err)
	}
	left, err := filepath.Glob(filepath.Join(injector.Journal.Path(), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("these files are left in the journal: %v, %v", left, err)
	}
}

// TestHoldRefusesWhatItCannotHold: the process that holds a fault is started by its ID alone, so it must say what is wrong.
func TestHoldRefusesWhatItCannotHold(t *testing.T) {
	l := newLab(t)
	record := l.inject(t, "kill", time.Minute)
	for id, says := range map[string]string{"d-nowhere": "no such file", record.ID: "no fault that a process holds"} {
		err := chaos.Hold(t.Context(), l.injector(), id, strings.NewReader(""), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("holding %s says %v", id, err)
		}
	}
}

// TestResidueByTampering: somebody makes the very thing again that the undo took away.
func TestResidueByTampering(t *testing.T) {
	injector := holding(t)
	world := litterWorld(t)
	build := injector.Build
	injector.Build = func(name, kind string, params jenner.Params) (string, chaos.Fault, error) {
		full, fault, err := build(name, kind, params)
		return full, tampered{fault.(*litter)}, err
	}
	record, err := injector.Inject(t.Context(), world.Record, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	err = injector.Undo(t.Context(), record)
	if !errors.Is(err, chaos.ErrResidue) || !strings.Contains(err.Error(), "littered true") {
		t.Errorf("the undo says %v", err)
	}
	if open, _ := injector.Journal.Open(); len(open) != 1 {
		t.Error("the journal has forgotten a fault of which something was left")
	}
	injector.Build = build
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Errorf("what was left cannot be undone later: %v", err)
	}
}

// tampered is undone, and somebody undoes the undo.
type tampered struct{ *litter }

func (f tampered) Undo(ctx context.Context, call chaos.Call) error {
	err := f.litter.Undo(ctx, call)
	return errors.Join(err, os.WriteFile(f.path(call), nil, 0o600))
}
