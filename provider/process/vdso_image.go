package process

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// vdso is the code that the kernel maps into every process for what needs no system call, such as reading a clock.
type vdso struct {
	base    uint64
	image   []byte
	entries map[string]uint64 // functions that read a clock: by name, from base
	loaded  uint64            // where what is used of the image ends; behind it there is nothing but padding
	spare   uint64            // address of 8 bytes that the process has and nobody uses; 0 where there are none
}

// readVDSO reads it from the memory of a process.
func readVDSO(pid int) (*vdso, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, fmt.Errorf("the memory of pid %d cannot be read: %w", pid, err)
	}
	defer memory.Close()
	process, err := procfs.NewProc(pid)
	if err != nil {
		return nil, err
	}
	maps, err := process.ProcMaps()
	if err != nil {
		return nil, fmt.Errorf("the memory map of pid %d cannot be read: %w", pid, err)
	}
	v := &vdso{}
	for _, mapped := range maps {
		switch mapped.Pathname {
		case "[vdso]":
			v.base, v.image = uint64(mapped.StartAddr), make([]byte, mapped.EndAddr-mapped.StartAddr)
			if _, err := memory.ReadAt(v.image, int64(v.base)); err != nil {
				return nil, fmt.Errorf("the vDSO of pid %d cannot be read: %w", pid, err)
			}
		case "[stack]":
			// execve leaves a null pointer above the name of the program, and nobody ever reads it.
			top := make([]byte, 8)
			if at := uint64(mapped.EndAddr) - 8; mapped.Perms.Write {
				if _, err := memory.ReadAt(top, int64(at)); err == nil && binary.LittleEndian.Uint64(top) == 0 {
					v.spare = at
				}
			}
		}
	}
	if v.image == nil {
		return nil, fmt.Errorf("pid %d has no vDSO; it reads the clock by system calls, which this fault does not reach", pid)
	}
	return v, v.parse()
}

// ownVDSO reads it, and refuses one that is not as the kernel maps it.
func ownVDSO(pid int) (*vdso, error) {
	kernels, err := readVDSO(os.Getpid())
	if err != nil {
		return nil, err
	}
	theirs, err := readVDSO(pid)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	if !bytes.Equal(kernels.image, theirs.image) {
		return nil, jenner.Permanent(fmt.Errorf("the vDSO of pid %d is not the kernel's own: another fault or a debugger has changed it", pid),
			"end that first, or restart the process")
	}
	return theirs, nil
}

// parse finds the functions and the end of what is used.
func (v *vdso) parse() error {
	file, err := elf.NewFile(bytes.NewReader(v.image))
	if err != nil {
		return fmt.Errorf("the vDSO is no program file: %w", err)
	}
	for _, program := range file.Progs {
		if program.Type == elf.PT_LOAD {
			v.loaded = max(v.loaded, program.Vaddr+program.Memsz)
		}
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("the functions of the vDSO cannot be read: %w", err)
	}
	v.entries = map[string]uint64{}
	for _, symbol := range symbols {
		if _, wanted := clockEntries[symbol.Name]; wanted {
			v.entries[symbol.Name] = symbol.Value
		}
	}
	if _, found := v.entries["__vdso_clock_gettime"]; !found {
		return errors.New("the vDSO has no __vdso_clock_gettime")
	}
	return nil
}

// edit changes a piece of a process's memory, in whole words of 8 bytes. Each word is written at once, so that who
// writes may die between any two.
type edit struct {
	Address uint64 `json:"address"`
	Old     []byte `json:"old"`
	New     []byte `json:"new"`
}

// patch is what the fault writes into the vDSO of one process, in this order; it is taken back in the other. The first
// word is the tag, by which a process is known that has the patch, or a part of it.
type patch struct {
	identity
	Edits   []edit `json:"edits"`
	Counter uint64 `json:"counter,omitempty"` // address of the number of answers; 0 is none
	Code    span   `json:"code"`              // where threads run the fault's own code
	Jumps   []span `json:"jumps"`             // over the functions' first instructions
}

// plan lays the clock's code into the padding behind the image, and the jumps to it over the functions' first
// instructions. The padding belongs to the process alone once it is written to: the kernel copies the page.
func (v *vdso) plan(id identity, data clockData) (patch, error) {
	data.Counter = v.spare
	code, err := clockPatch(data)
	if err != nil {
		return patch{}, err
	}
	place := (uint64(len(v.image)) - uint64(len(code))) &^ 15
	if place < v.loaded || uint64(len(v.image)) < uint64(len(code)) {
		return patch{}, fmt.Errorf("this kernel's vDSO leaves no room for %d bytes of code", len(code))
	}
	tag := len(code) - 8
	p := patch{identity: id, Counter: v.spare, Code: span{v.base + place, v.base + place + uint64(len(clockCode))}}
	add := func(at uint64, new []byte) {
		p.Edits = append(p.Edits, edit{v.base + at, slices.Clone(v.image[at:][:len(new)]), new})
	}
	add(place+uint64(tag), code[tag:])
	add(place, code[:tag])
	for name, entry := range v.entries {
		word := slices.Clone(v.image[entry&^7:][:8])
		if entry%8+jumpSize > 8 {
			return patch{}, fmt.Errorf("%s of this kernel's vDSO begins at %#x, so that its first instruction cannot be changed at once", name, entry)
		}
		copy(word[entry%8:], jump(entry, place+clockEntries[name]))
		add(entry&^7, word)
		p.Jumps = append(p.Jumps, span{v.base + entry, v.base + entry + jumpSize})
	}
	return p, nil
}

// write makes the patch in a process that stands still, or, with undo, takes it back, and leaves what is done already.
// Where a word is neither as it was nor as the patch has it, nothing is touched.
func (p patch) write(f *frozen, undo bool) error {
	var spans []span
	for _, jump := range p.Jumps {
		spans = append(spans, span{jump.First + 1, jump.End}) // its first byte is the first of an instruction either way
	}
	if undo {
		spans = append(spans, p.Code)
	}
	words, err := p.words(f.pid, undo)
	if err != nil || len(words) == 0 {
		return err
	}
	if err := f.apart(spans...); err != nil {
		return err
	}
	for _, word := range words {
		if err := f.poke(word.Address, word.New); err != nil {
			return fmt.Errorf("the vDSO of pid %d cannot be written: %w", f.pid, err)
		}
	}
	return nil
}

// words are the words that are yet to be written, in order.
func (p patch) words(pid int, undo bool) (words []edit, err error) {
	for _, edit := range p.Edits {
		now, err := readMemory(pid, edit.Address, len(edit.Old))
		if err != nil {
			return nil, err
		}
		for at := 0; at < len(now); at += 8 {
			word, is := edit.word(at), now[at:][:8]
			switch {
			case undo && !bytes.Equal(is, word.Old) && bytes.Equal(is, word.New):
				word.Old, word.New = word.New, word.Old
				words = append(words, word)
			case !undo && bytes.Equal(is, word.Old) && !bytes.Equal(is, word.New):
				words = append(words, word)
			case !bytes.Equal(is, word.Old) && !bytes.Equal(is, word.New):
				return nil, fmt.Errorf("somebody else has changed the vDSO of pid %d at %#x: %x, where it was %x and this fault writes %x",
					pid, word.Address, is, word.Old, word.New)
			}
		}
	}
	if undo {
		slices.Reverse(words)
		if len(words) > 0 && p.Counter != 0 {
			words = slices.Insert(words, len(words)-1, edit{Address: p.Counter, New: make([]byte, 8)})
		}
	}
	return words, nil
}

func (e edit) word(at int) edit { return edit{e.Address + uint64(at), e.Old[at:][:8], e.New[at:][:8]} }

// poke writes one word through any of the threads.
func (f *frozen) poke(address uint64, word []byte) error {
	err := error(unix.ESRCH)
	for tid := range f.stops {
		if _, err = unix.PtracePokeData(tid, uintptr(address), word); !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return err
}

// readMemory reads a process's memory; errGone where the process, or that piece of its memory, is not there any more.
func readMemory(pid int, address uint64, size int) ([]byte, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("the memory of pid %d cannot be read: %w", pid, err)
	}
	defer memory.Close()
	read := make([]byte, size)
	if _, err := memory.ReadAt(read, int64(address)); err != nil {
		return nil, errGone // it has ended, or runs another program
	}
	return read, nil
}
