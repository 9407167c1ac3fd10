package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("corrupt", "Flip, cut off or overwrite a chunk of a file", func() chaos.Fault { return &FaultCorrupt{} }, "file", "gitfile")
}

// The ways of corrupting a file.
const (
	corruptFlip      = "flip"      // every bit of the chunk is turned over
	corruptTruncate  = "truncate"  // the file ends where the chunk begins
	corruptOverwrite = "overwrite" // the chunk holds other bytes
)

// maxChunk is how large a chunk may be: all of it is kept in the undo journal, in bytes.
const maxChunk = 1 << 20

// FaultCorrupt damages a file where it lies, as a bad disk or a bad writer would: whoever holds the file open sees it at
// once, and mode, owner and links stay as they are. It does not repair itself: whoever owns the record undoes it when its
// time is over.
//
// The undo puts the bytes of before back, but only where each byte of the chunk is as it was or as the fault left it.
// Anything else is somebody's change, which is kept: then the fingerprint tells that the state of before did not come
// back. The rest of the file may change meanwhile.
type FaultCorrupt struct {
	// How is flip, truncate or overwrite.
	How string `json:"how"`
	// Offset is where the chunk begins, in bytes from the file's beginning.
	Offset int64 `json:"offset,omitempty"`
	// Bytes is the size of the chunk, up to 1 MiB; for overwrite, the length of With where not said. Truncate has none:
	// it cuts off all behind Offset, which may be 1 MiB.
	Bytes int64 `json:"bytes,omitempty"`
	// With is what overwrite writes, again and again until the chunk is full; zero bytes where not said.
	With string `json:"with,omitempty"`
}

// damage is the checkpoint.
type damage struct {
	Path string `json:"path"` // without symbolic links
	Old  []byte `json:"old"`  // the chunk before …
	New  []byte `json:"new"`  // … and as the fault leaves it; empty where the file is cut off
}

// Validate checks the parameters.
func (f *FaultCorrupt) Validate() error {
	switch {
	case !slices.Contains([]string{corruptFlip, corruptTruncate, corruptOverwrite}, f.How):
		return fmt.Errorf("how is %q; write flip, truncate or overwrite", f.How)
	case f.Offset < 0 || f.Bytes < 0:
		return errors.New("offset and bytes count from the beginning of the file and cannot be less than zero")
	case f.How == corruptTruncate && f.Bytes > 0:
		return errors.New("truncate cuts off all behind offset and has no bytes")
	case f.How != corruptOverwrite && f.With != "":
		return fmt.Errorf("with belongs to overwrite, and this is %s", f.How)
	case f.How != corruptTruncate && f.size() == 0:
		return errors.New("bytes is missing; write how many bytes are damaged")
	case f.size() > maxChunk:
		return fmt.Errorf("%d bytes are too many; at most %d are kept in the undo journal", f.size(), maxChunk)
	}
	return nil
}

// size is that of the chunk; of truncate only the file knows it.
func (f *FaultCorrupt) size() int64 {
	if f.Bytes == 0 {
		return int64(len(f.With))
	}
	return f.Bytes
}

// Checkpoint keeps the bytes of the chunk. It refuses a file that is not there, that may not be written, that has no such
// chunk, or that the fault would leave as it is.
func (f *FaultCorrupt) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	place, err := located(call.Record.Target)
	if err == nil {
		err = writable(place.real)
	}
	if err != nil {
		return nil, err
	}
	path, info, size := place.real, place.info, f.size()
	if f.How == corruptTruncate {
		size = info.Size() - f.Offset
	}
	switch {
	case size <= 0 || f.Offset+size > info.Size():
		return nil, jenner.Permanent(fmt.Errorf("%s has %d bytes, and the chunk of %d at %d is not among them", path, info.Size(),
			max(0, size), f.Offset), "choose another offset")
	case size > maxChunk:
		return nil, jenner.Permanent(fmt.Errorf("%d bytes of %s would be cut off; at most %d are kept in the undo journal", size,
			path, maxChunk), "choose a higher offset")
	}
	old, err := f.chunk(path, size)
	if err != nil {
		return nil, err
	}
	kept := damage{Path: path, Old: old, New: f.damaged(old)}
	if bytes.Equal(kept.Old, kept.New) {
		return nil, jenner.Permanent(fmt.Errorf("%s holds these bytes at %d already", path, f.Offset), "overwrite it with others")
	}
	return jenner.Raw(kept), nil
}

// chunk reads the chunk, or what there is of it.
func (f *FaultCorrupt) chunk(path string, size int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.NewSectionReader(file, f.Offset, size))
}

// damaged is the chunk as the fault leaves it.
func (f *FaultCorrupt) damaged(old []byte) []byte {
	switch f.How {
	case corruptTruncate:
		return nil
	case corruptFlip:
		flipped := make([]byte, len(old))
		for i, b := range old {
			flipped[i] = ^b
		}
		return flipped
	}
	if f.With == "" {
		return make([]byte, len(old))
	}
	return bytes.Repeat([]byte(f.With), len(old)/len(f.With)+1)[:len(old)]
}

// Fingerprint is the hash of the chunk with the file's mode and owner.
func (f *FaultCorrupt) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	kept, now, err := f.look(call)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent", nil
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(kept.Path)
	if err != nil {
		return "", err
	}
	return printed(now, info), nil
}

// look gives the checkpoint and the chunk as it is now.
func (f *FaultCorrupt) look(call chaos.Call) (damage, []byte, error) {
	kept, err := checkpointed[damage](call.Record.Checkpoint)
	if err != nil {
		return kept, nil, err
	}
	now, err := f.chunk(kept.Path, int64(len(kept.Old)))
	return kept, now, err
}

// Inject damages the chunk, which must be as it was at the checkpoint.
func (f *FaultCorrupt) Inject(_ context.Context, call chaos.Call) error {
	kept, now, err := f.look(call)
	if err != nil {
		return err
	}
	if !kept.ours(now) {
		return jenner.Permanent(fmt.Errorf("%s: %w", kept.Path, errMeanwhile), "inject it anew")
	}
	return f.write(kept.Path, kept.New)
}

// write puts bytes in the chunk's place; none cut the file off there.
func (f *FaultCorrupt) write(path string, chunk []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if len(chunk) == 0 {
		err = file.Truncate(f.Offset)
	} else {
		_, err = file.WriteAt(chunk, f.Offset)
	}
	return errors.Join(err, file.Sync())
}

// ours tells whether each byte of the chunk is as it was or as the fault leaves it: a process that was killed while it
// wrote leaves some of both.
func (d damage) ours(now []byte) bool {
	if len(d.New) == 0 {
		return bytes.HasPrefix(d.Old, now)
	}
	if len(now) != len(d.Old) {
		return false
	}
	for i, b := range now {
		if b != d.Old[i] && b != d.New[i] {
			return false
		}
	}
	return true
}

// Bite sees whether the chunk's hash is another one than before.
func (f *FaultCorrupt) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	kept, now, err := f.look(call)
	if err != nil {
		return chaos.Witness{}, err
	}
	if !bytes.Equal(now, kept.New) {
		return chaos.Witness{Saw: fmt.Sprintf("%s holds %d bytes at %d as they were", kept.Path, len(now), f.Offset)}, nil
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%s: %s of %d bytes at %d; their hash went from %s to %s", kept.Path, f.How,
		len(kept.Old), f.Offset, brief(hashed(kept.Old)), brief(hashed(now)))}, nil
}

// Armed tells whether any of the damage is there, and nobody else has written to the chunk.
func (f *FaultCorrupt) Armed(_ context.Context, call chaos.Call) (bool, error) {
	kept, now, err := f.look(call)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && kept.ours(now) && !bytes.Equal(now, kept.Old), err
}

// Undo puts the bytes of before back where nobody else has written to the chunk.
func (f *FaultCorrupt) Undo(ctx context.Context, call chaos.Call) error {
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return err
	}
	kept, err := checkpointed[damage](call.Record.Checkpoint)
	if err != nil {
		return err
	}
	if err := f.write(kept.Path, kept.Old); err != nil {
		return fmt.Errorf("%s was not restored: %w", kept.Path, err)
	}
	return nil
}
