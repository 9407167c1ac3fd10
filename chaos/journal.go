package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/jenner-heal/jenner"
)

// Journal is the undo journal: one small file a fault, synced before the fault is injected and removed when the fault
// is proved to be gone. It is files and not a database, so that the reaper, and a person, can read it whatever died.
type Journal struct{ dir string }

// OpenJournal opens the journal in a folder, which it makes where it is not there.
func OpenJournal(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the undo journal: %w", err)
	}
	return &Journal{dir: dir}, nil
}

// Put writes a record, whole or not at all. With sync it is on disk when Put returns.
func (j *Journal) Put(record jenner.FaultRecord, sync bool) error {
	if err := j.replace(j.path(record.ID), jenner.Raw(record), sync); err != nil {
		return fmt.Errorf("cannot write the undo journal: %w", err)
	}
	return nil
}

// replace writes a file whole or not at all. With sync it is on disk when replace returns.
func (j *Journal) replace(path string, content []byte, sync bool) error {
	part, err := os.CreateTemp(j.dir, ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(content)
	if err == nil && sync {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	if sync {
		return j.syncDir()
	}
	return nil
}

// Get gives one fault's record. It is fs.ErrNotExist where the fault is gone.
func (j *Journal) Get(id string) (record jenner.FaultRecord, err error) {
	raw, err := os.ReadFile(j.path(id))
	if err == nil {
		err = json.Unmarshal(raw, &record)
	}
	if err != nil {
		return record, fmt.Errorf("undo journal: %w", err)
	}
	return record, nil
}

// Remove forgets a fault that is gone. Forgetting twice is as forgetting once.
func (j *Journal) Remove(id string) error {
	for _, path := range []string{j.heldPath(id), j.path(id)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return j.syncDir()
}

// Open gives the faults that are not proved to be gone, the oldest first. A file that cannot be read is an error, but
// the others are given all the same.
func (j *Journal) Open() ([]jenner.FaultRecord, error) {
	files, err := os.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var records []jenner.FaultRecord
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue
		}
		raw, readErr := os.ReadFile(filepath.Join(j.dir, file.Name()))
		if errors.Is(readErr, fs.ErrNotExist) {
			continue // undone this very moment
		}
		var record jenner.FaultRecord
		if readErr == nil {
			readErr = json.Unmarshal(raw, &record)
		}
		if readErr == nil && record.ID+".json" != file.Name() {
			// Undoing it would remove another file, or this one never.
			readErr = fmt.Errorf("it is about fault %q, whose file it is not; undo that one by hand and remove the file", record.ID)
		}
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("undo journal %s: %w", file.Name(), readErr))
			continue
		}
		records = append(records, record)
	}
	sort.Slice(records, func(a, b int) bool { return records[a].InjectedAt.Before(records[b].InjectedAt) })
	return records, err
}

// Path is the journal's folder.
func (j *Journal) Path() string { return j.dir }

func (j *Journal) path(id string) string { return filepath.Join(j.dir, id+".json") }

func (j *Journal) syncDir() error {
	dir, err := os.Open(j.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
