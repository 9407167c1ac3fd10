package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("disk_full", "Fill a file system", func() chaos.Fault { return &FaultDiskFull{Leave: megabyte} }, "disk")
}

// FaultDiskFull takes the free room of a file system by one file without a name, whose room comes back when the process
// that holds it ends. The dose is given once: room that somebody makes meanwhile stays free, so that a remediation that
// cleans up can heal. It needs only the right to write to the folder. Room that a file system keeps for root stays.
type FaultDiskFull struct {
	chaos.HeldElsewhere
	// Leave is how much stays free, 1MB where not said. Where Jenner's own data is on the same file system, less than that
	// keeps Jenner from working.
	Leave Size `json:"leave,omitempty"`
}

// occupied is the checkpoint.
type occupied struct {
	Path string `json:"path"`
	Free Size   `json:"free"`
	File string `json:"file"` // of the file, in the moment in which it has a name where it cannot do without
}

// hoarding is what the fault reports.
type hoarding struct {
	Taken Size `json:"taken"`
}

// Checkpoint refuses a folder that is not there or cannot be written to, and a file system that is full already.
func (f *FaultDiskFull) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	disk, err := decodeDisk(call.Record.Target)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(disk.Path)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	if !info.IsDir() {
		return nil, jenner.Permanent(fmt.Errorf("%s is not a folder", disk.Path), "name a folder on the file system")
	}
	if err := unix.Access(disk.Path, unix.W_OK|unix.X_OK); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("%s cannot be written to: needs CAP_DAC_OVERRIDE; run as root or as the folder's owner (%w)", disk.Path, err), "")
	}
	free, stat, err := freeOn(disk.Path)
	if err != nil {
		return nil, err
	}
	if free <= f.Leave {
		return nil, jenner.Permanent(fmt.Errorf("%s is full already: %s are free, and %s are to be left", disk.Path, free, f.Leave), "")
	}
	if stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC {
		memory, err := available()
		if err != nil {
			return nil, err
		}
		if memory-(free-f.Leave) < leastFree {
			return nil, jenner.Permanent(fmt.Errorf("%s is in memory, and filling it would leave less than %s of that", disk.Path, leastFree), "leave more")
		}
	}
	return jenner.Raw(occupied{disk.Path, free, filepath.Join(disk.Path, ".jenner-full-"+jenner.Fingerprint(call.Record.ID))}), nil
}

// Fingerprint tells whether anything of the fault is on the file system. How much is free there is everybody's doing.
func (*FaultDiskFull) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	was, err := before(call)
	if err != nil {
		return "", err
	}
	if call.Held.Alive {
		return fmt.Sprintf("filled by pid %d", call.Held.Pid), nil
	}
	_, err = os.Lstat(was.File)
	if errors.Is(err, fs.ErrNotExist) {
		return "nothing left", nil
	}
	return "the file " + was.File, err
}

func before(call chaos.Call) (was occupied, err error) {
	if err := json.Unmarshal(call.Record.Checkpoint, &was); err != nil {
		return was, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return was, nil
}

// Hold fills.
func (f *FaultDiskFull) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	was, err := before(call)
	if err != nil {
		return err
	}
	file, err := nameless(was)
	if err != nil {
		return err
	}
	defer file.Close()
	taken, err := take(ctx, file, was.Path, f.Leave)
	if err != nil {
		return err
	}
	tell(hoarding{taken})
	<-ctx.Done()
	return nil
}

// nameless opens a file that no folder shows. Where the file system cannot make one, it has a name for a moment.
func nameless(was occupied) (*os.File, error) {
	fd, err := unix.Open(was.Path, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), was.File), nil
	}
	// ENOENT and EISDIR are what kernels say that do not know of it.
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("no file can be made on %s: %w", was.Path, err)
	}
	return unlinked(was.File)
}

func unlinked(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// take makes the file grow until no more than leave is free.
func take(ctx context.Context, file *os.File, path string, leave Size) (taken Size, err error) {
	grow := allocate
	step := gigabyte
	for ctx.Err() == nil {
		free, stat, err := freeOn(path)
		if err != nil {
			return taken, err
		}
		block := max(1, Size(stat.Bsize))
		next := min(step, (free-leave)/block*block)
		if next <= 0 {
			return taken, nil
		}
		switch err := grow(file, taken, next); {
		case errors.Is(err, unix.EOPNOTSUPP):
			grow, step = write, megabyte
		case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
			if step = next / 2; step < block {
				return taken, nil // the rest is what the file system needs for itself
			}
		case err != nil:
			return taken, fmt.Errorf("%s cannot be filled: %w", path, err)
		default:
			taken += next
		}
	}
	return taken, nil
}

func allocate(file *os.File, at, length Size) error {
	for {
		if err := unix.Fallocate(int(file.Fd()), 0, int64(at), int64(length)); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// write is for file systems that give no room without content. It cannot be compressed away.
func write(file *os.File, at, length Size) error {
	content := make([]byte, length)
	seed := uint64(at) + 1
	for i := range content {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		content[i] = byte(seed)
	}
	_, err := file.WriteAt(content, int64(at))
	return err
}

// freeOn is how much is free for everybody but root.
func freeOn(path string) (Size, unix.Statfs_t, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, stat, fmt.Errorf("the free room of %s cannot be told: %w", path, err)
	}
	return Size(stat.Bavail) * Size(stat.Frsize), stat, nil
}

// Bite asks the file system how much is free.
func (f *FaultDiskFull) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	was, err := before(call)
	if err != nil {
		return chaos.Witness{}, err
	}
	done, err := reported[hoarding](call)
	if err != nil || !call.Held.Alive {
		return chaos.Witness{Saw: "nothing fills " + was.Path}, err
	}
	free, _, err := freeOn(was.Path)
	return chaos.Witness{
		// What a file system frees by itself a moment later is no sign that it was not full.
		Bit: done.Taken > 0 && free <= f.Leave+max(64*kilobyte, done.Taken/10),
		Saw: fmt.Sprintf("%s has %s free, before %s; %s were taken", was.Path, free, was.Free, done.Taken),
	}, err
}

// Undo removes the file where it was killed in the moment in which it had a name.
func (*FaultDiskFull) Undo(_ context.Context, call chaos.Call) error {
	was, err := before(call)
	if err != nil {
		return err
	}
	if err := os.Remove(was.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
