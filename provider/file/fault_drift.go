package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("drift", "Change one key, or one piece of text, of a configuration file", func() chaos.Fault { return &FaultDrift{} },
		"file", "gitfile")
}

// FaultDrift changes a configuration file as a hand on the machine would, behind the back of whoever keeps it: one key of
// a JSON or YAML file, or one piece of text of any other. The file is replaced in one step and keeps its mode and its
// owner, but no extended attributes. Nobody is told that it changed. The file never changes back by itself: whoever
// owns the record undoes it when its time is over.
//
// The undo restores every byte, but only where the file is still as the fault left it. Where a remediation has restored
// it there is nothing to do, and anything else is somebody's change, which is kept: then the fingerprint tells that the
// state of before did not come back.
type FaultDrift struct {
	// Key is the path to a value in a JSON or YAML file, with dots between the names; `\.` is a dot in a name.
	Key string `json:"key,omitempty"`
	// Value is what the key is set to: any JSON value.
	Value json.RawMessage `json:"value,omitempty"`
	// Replace is instead of a key, for files of any format.
	Replace *Replacement `json:"replace,omitempty"`
}

// Replacement is a piece of text, which must stand in the file exactly once, and what is put in its place.
type Replacement struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// drifted is the checkpoint: the one piece that differs, in place of the whole file, which may hold what nobody should
// write down.
type drifted struct {
	Path   string `json:"path"`   // without symbolic links
	From   int    `json:"from"`   // where the piece begins, in bytes
	Old    []byte `json:"old"`    // the piece before …
	New    []byte `json:"new"`    // … and as the fault leaves it
	Before string `json:"before"` // hash of the file before …
	After  string `json:"after"`  // … and as the fault leaves it
	What   string `json:"what"`   // in words
}

// Validate checks that it says one change, and what it is.
func (f *FaultDrift) Validate() error {
	switch {
	case (f.Key == "") == (f.Replace == nil):
		return errors.New("write either key and value, for a JSON or YAML file, or replace, for any other")
	case f.Replace == nil:
		return (&SetFlag{Key: f.Key, Value: f.Value}).Validate()
	case len(f.Value) > 0:
		return errors.New("value goes with key; replace has from and to")
	case f.Replace.From == "":
		return errors.New("replace: from is missing; write a piece of text that stands in the file exactly once")
	case f.Replace.From == f.Replace.To:
		return errors.New("replace: from and to are the same, so that nothing would change")
	}
	return nil
}

// Checkpoint keeps the piece that will differ and the hashes of before and after. It refuses a file that is not there,
// that may not be replaced, or that the fault would leave as it is.
func (f *FaultDrift) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	place, err := located(call.Record.Target)
	if err == nil {
		err = place.replaceable()
	}
	if err != nil {
		return nil, err
	}
	before, err := os.ReadFile(place.real)
	if err != nil {
		return nil, err
	}
	after, what, err := f.changed(place.name, before)
	if err == nil && bytes.Equal(before, after) {
		err = fmt.Errorf("it is so already: %s", what)
	}
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("file %s: %w", place.name, err), "")
	}
	from, old, piece := difference(before, after)
	return jenner.Raw(drifted{Path: place.real, From: from, Old: old, New: piece, Before: hashed(before), After: hashed(after),
		What: what}), nil
}

// changed is the content as the fault leaves it.
func (f *FaultDrift) changed(name string, content []byte) (after []byte, what string, err error) {
	if f.Replace != nil {
		from, to := []byte(f.Replace.From), []byte(f.Replace.To)
		if n := bytes.Count(content, from); n != 1 {
			return nil, "", fmt.Errorf("%q stands in it %d times, and must once", from, n)
		}
		return bytes.Replace(content, from, to, 1), fmt.Sprintf("%q → %q", from, to), nil
	}
	keys, err := splitKey(f.Key)
	if err != nil {
		return nil, "", err
	}
	document, err := parseAs(name, bytes.Clone(content), true)
	if err != nil {
		return nil, "", err
	}
	was, err := document.get(keys)
	if err != nil {
		return nil, "", fmt.Errorf("key %s: %w", f.Key, err)
	}
	if err := document.set(keys, f.Value); err != nil {
		return nil, "", fmt.Errorf("key %s: %w", f.Key, err)
	}
	return document.bytes(), fmt.Sprintf("%s: %s → %s", f.Key, shown(was.JSON), shown(f.Value)), nil
}

// difference is the one piece in which two texts differ.
func difference(before, after []byte) (from int, old, instead []byte) {
	for from < min(len(before), len(after)) && before[from] == after[from] {
		from++
	}
	tail := 0
	for tail < min(len(before), len(after))-from && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	return from, before[from : len(before)-tail], after[from : len(after)-tail]
}

// spliced puts one piece in the place of another, which must stand there.
func spliced(content []byte, from int, old, instead []byte) ([]byte, error) {
	if from < 0 || from > len(content) || !bytes.HasPrefix(content[from:], old) {
		return nil, errors.New("the checkpoint does not fit the file")
	}
	return []byte(string(content[:from]) + string(instead) + string(content[from+len(old):])), nil
}

// Fingerprint is the hash of the file with its mode and its owner.
func (f *FaultDrift) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	kept, err := checkpointed[drifted](call.Record.Checkpoint)
	if err != nil {
		return "", err
	}
	content, info, err := kept.read()
	if errors.Is(err, fs.ErrNotExist) {
		return "absent", nil
	}
	if err != nil {
		return "", err
	}
	return printed(content, info), nil
}

// read gives the file as it is now.
func (d drifted) read() ([]byte, os.FileInfo, error) {
	info, err := os.Stat(d.Path)
	if err != nil {
		return nil, nil, err
	}
	content, err := read(d.Path, info)
	return content, info, err
}

// Inject changes the file, which must be as it was at the checkpoint.
func (f *FaultDrift) Inject(_ context.Context, call chaos.Call) error {
	kept, err := checkpointed[drifted](call.Record.Checkpoint)
	if err != nil {
		return err
	}
	content, info, err := kept.read()
	if err != nil {
		return err
	}
	switch hashed(content) {
	case kept.After:
		return nil
	case kept.Before:
	default:
		return jenner.Permanent(fmt.Errorf("%s: %w", kept.Path, errMeanwhile), "inject it anew")
	}
	after, err := spliced(content, kept.From, kept.Old, kept.New)
	if err != nil {
		return err
	}
	return swap(kept.Path, call.Record.ID, after, info)
}

// Bite sees whether the file's hash is the one that the fault leaves.
func (f *FaultDrift) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	kept, err := checkpointed[drifted](call.Record.Checkpoint)
	if err != nil {
		return chaos.Witness{}, err
	}
	content, _, err := kept.read()
	if err != nil {
		return chaos.Witness{}, err
	}
	if now := hashed(content); now != kept.After {
		return chaos.Witness{Saw: fmt.Sprintf("%s has hash %s", kept.Path, brief(now))}, nil
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%s: %s; its hash went from %s to %s", kept.Path, kept.What,
		brief(kept.Before), brief(kept.After))}, nil
}

// Armed tells whether the file is as the fault left it.
func (f *FaultDrift) Armed(_ context.Context, call chaos.Call) (bool, error) {
	kept, err := checkpointed[drifted](call.Record.Checkpoint)
	if err != nil {
		return false, err
	}
	content, _, err := kept.read()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && hashed(content) == kept.After, err
}

// Undo restores the file where it is still as the fault left it.
func (f *FaultDrift) Undo(_ context.Context, call chaos.Call) error {
	kept, err := checkpointed[drifted](call.Record.Checkpoint)
	if err != nil {
		return err
	}
	if err := kept.restore(call.Record.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s was not restored: %w", kept.Path, err)
	}
	return sweep(kept.Path, call.Record.ID)
}

func (d drifted) restore(mark string) error {
	content, info, err := d.read()
	if err != nil || hashed(content) != d.After {
		return err
	}
	before, err := spliced(content, d.From, d.New, d.Old)
	if err != nil {
		return err
	}
	if got := hashed(before); got != d.Before {
		return fmt.Errorf("it would have hash %s and had %s; restore it by hand: at byte %d stood %s", brief(got), brief(d.Before),
			d.From, strings.ToValidUTF8(string(d.Old), "?"))
	}
	return swap(d.Path, mark, before, info)
}
