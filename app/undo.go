package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// OpenFault is a fault that is not proved to be gone.
type OpenFault struct {
	jenner.FaultRecord
	Holder int  // pid of the process that holds it; 0 where none does
	Alive  bool // that process lives
}

// Undoer takes back the faults of a data directory. It needs nothing but the undo journal, neither the store nor the
// files, so that it works whether or not a jenner runs, and beside it: undoing twice is as undoing once.
type Undoer struct {
	injector *chaos.Injector
	data     string
	all      *catalog.Catalog
}

// NewUndoer reads the undo journal of a data directory. Where there is none, none is made.
func NewUndoer(data string, all *catalog.Catalog) (*Undoer, error) {
	if _, err := os.Stat(filepath.Join(data, faultsDir)); errors.Is(err, fs.ErrNotExist) {
		return &Undoer{data: data, all: all}, nil
	}
	injector, err := undoer(data, all)
	return &Undoer{injector, data, all}, err
}

// Open are the faults that are not proved to be gone, the oldest first. Where one cannot be read, the others are given
// beside the error.
func (u *Undoer) Open() ([]OpenFault, error) {
	if u.injector == nil {
		return nil, nil
	}
	records, err := u.injector.Journal.Open()
	open := make([]OpenFault, 0, len(records))
	for _, record := range records {
		held := u.injector.Holders.Held(record.ID)
		open = append(open, OpenFault{FaultRecord: record, Holder: held.Pid, Alive: held.Alive})
	}
	return open, err
}

// Undo takes one fault back and proves that it is gone. A fault that somebody else took back meanwhile is no error.
func (u *Undoer) Undo(ctx context.Context, id string) error {
	if u.injector == nil {
		return nil
	}
	record, err := u.injector.Journal.Get(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return u.injector.Undo(ctx, record)
}
