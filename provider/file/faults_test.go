package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

const nginxConf = "server {\n    listen 80;\n    root /srv/www;\n}\n"

// breaking is a world with a file of that name and content, for a fault as people write it.
func breaking(name, text, fault, params string) func(t *testing.T) faulttest.World {
	return func(t *testing.T) faulttest.World {
		params, target := written(t, params), holding(t, name, text)
		return faulttest.World{
			Fault:  func() chaos.Fault { return made(t, fault, params) },
			Record: jenner.FaultRecord{Fault: fault, Params: params, Target: target},
			Absent: at(filepath.Join(t.TempDir(), name)),
		}
	}
}

// written are parameters as people write them.
func written(t testing.TB, text string) jenner.Params {
	t.Helper()
	params := jenner.Params{}
	if err := json.Unmarshal([]byte(text), &params); err != nil {
		t.Fatal(err)
	}
	return params
}

func made(t *testing.T, name string, params jenner.Params) chaos.Fault {
	t.Helper()
	_, fault, err := catalog.Merge(Provider).MakeFault(name, "file", params)
	if err != nil {
		t.Fatal(err)
	}
	return fault
}

var faultWorlds = map[string]struct{ file, text, fault, params string }{
	"drift of text":       {"nginx.conf", nginxConf, "file.drift", `{"replace": {"from": "listen 80", "to": "listen 8080"}}`},
	"drift that adds":     {"nginx.conf", nginxConf, "file.drift", `{"replace": {"from": "    root", "to": "    deny all;\n    root"}}`},
	"drift that removes":  {"nginx.conf", nginxConf, "file.drift", `{"replace": {"from": "    listen 80;\n", "to": ""}}`},
	"drift of a key":      {"app.yaml", "# pool\npool: {max: 10} # small\n", "file.drift", `{"key": "pool.max", "value": 1}`},
	"drift to a new key":  {"app.json", `{"pool": {}}`, "file.drift", `{"key": "pool.max", "value": 1}`},
	"flip":                {"data.bin", "0123456789", "file.corrupt", `{"how": "flip", "offset": 3, "bytes": 4}`},
	"truncate":            {"data.bin", "0123456789", "file.corrupt", `{"how": "truncate", "offset": 3}`},
	"truncate to nothing": {"data.bin", "0123456789", "file.corrupt", `{"how": "truncate"}`},
	"overwrite":           {"data.bin", "0123456789", "file.corrupt", `{"how": "overwrite", "offset": 8, "bytes": 2}`},
	"overwrite with":      {"data.bin", "0123456789", "file.corrupt", `{"how": "overwrite", "with": "ab", "bytes": 5}`},
}

func TestFaultsConform(t *testing.T) {
	for name, world := range faultWorlds {
		t.Run(name, func(t *testing.T) {
			faulttest.Run(t, breaking(world.file, world.text, world.fault, world.params))
		})
	}
}

func TestDriftSurvivesKills(t *testing.T) {
	world := faultWorlds["drift of text"]
	faulttest.Killed(t, breaking(world.file, world.text, world.fault, world.params))
}

func TestCorruptSurvivesKills(t *testing.T) {
	world := faultWorlds["overwrite with"]
	faulttest.Killed(t, breaking(world.file, world.text, world.fault, world.params))
}

// faulty is a file with one fault in an injector of its own.
type faulty struct {
	injector *chaos.Injector
	record   jenner.FaultRecord
	target   jenner.Target
}

func faultyOf(t *testing.T, name, text, fault, params string) *faulty {
	t.Helper()
	world := breaking(name, text, fault, params)(t)
	journal, err := chaos.OpenJournal(filepath.Join(t.TempDir(), "faults"))
	if err != nil {
		t.Fatal(err)
	}
	world.Record.ID = "d-1"
	return &faulty{record: world.Record, target: world.Record.Target, injector: &chaos.Injector{Journal: journal, Now: time.Now,
		Build: catalog.Merge(Provider).MakeFault, Held: func() (jenner.Hold, bool) { return jenner.Hold{}, false }}}
}

func (f *faulty) inject(t *testing.T) {
	t.Helper()
	var err error
	if f.record, err = f.injector.Inject(t.Context(), f.record, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func (f *faulty) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(f.path(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f *faulty) path() string {
	return filepath.Join(f.target.Dir, filepath.Base(decodedPath(f.target)))
}

func decodedPath(target jenner.Target) string {
	decoded, err := decode(target)
	if err != nil {
		panic(err)
	}
	return decoded.Path
}

// Each case: what stands in the file while the fault is on, and as it is after.
func TestWhatTheFaultsLeave(t *testing.T) {
	want := map[string]string{
		"drift of text":       "server {\n    listen 8080;\n    root /srv/www;\n}\n",
		"drift that adds":     "server {\n    listen 80;\n    deny all;\n    root /srv/www;\n}\n",
		"drift that removes":  "server {\n    root /srv/www;\n}\n",
		"drift of a key":      "# pool\npool: {max: 1} # small\n",
		"drift to a new key":  `{"pool": {"max": 1}}`,
		"flip":                "012\xcc\xcb\xca\xc9789",
		"truncate":            "012",
		"truncate to nothing": "",
		"overwrite":           "01234567\x00\x00",
		"overwrite with":      "ababa56789",
	}
	for name, world := range faultWorlds {
		t.Run(name, func(t *testing.T) {
			f := faultyOf(t, world.file, world.text, world.fault, world.params)
			if err := errors.Join(os.Chmod(f.path(), 0o640), os.Chown(f.path(), 12, 34)); err != nil {
				t.Fatal(err)
			}
			f.inject(t)
			if got := content(t, f.target); got != want[name] {
				t.Errorf("the file holds %q, want %q", got, want[name])
			}
			f.sameOwner(t)
			if err := f.injector.Undo(t.Context(), f.record); err != nil {
				t.Error(err)
			}
			if got := content(t, f.target); got != world.text {
				t.Errorf("after the undo the file holds %q, want %q", got, world.text)
			}
			f.sameOwner(t)
			f.alone(t)
		})
	}
}

func (f *faulty) sameOwner(t *testing.T) {
	t.Helper()
	info, err := os.Stat(f.path())
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); info.Mode() != 0o640 || stat.Uid != 12 || stat.Gid != 34 {
		t.Errorf("mode and owner are %v %d:%d", info.Mode(), stat.Uid, stat.Gid)
	}
}

// alone fails where the fault left a file beside its own.
func (f *faulty) alone(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(f.target.Dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v), want the one file", entries, err)
	}
}

// A remediation that restored the file leaves nothing to undo: not even the time of the file changes.
func TestUndoOfWhatWasHealed(t *testing.T) {
	for name, world := range faultWorlds {
		t.Run(name, func(t *testing.T) {
			f := faultyOf(t, world.file, world.text, world.fault, world.params)
			f.inject(t)
			f.write(t, world.text)
			armed, err := f.injector.Armed(t.Context(), f.record)
			if armed || err != nil {
				t.Errorf("armed: %v, %v", armed, err)
			}
			before, _ := os.Stat(f.path())
			if err := f.injector.Undo(t.Context(), f.record); err != nil {
				t.Error(err)
			}
			if after, _ := os.Stat(f.path()); !sameFile(before, after) {
				t.Error("the undo wrote to a file that was as before")
			}
		})
	}
}

// What somebody else wrote meanwhile is kept, and said to be a residue.
func TestUndoKeepsWhatSomebodyWrote(t *testing.T) {
	for name, world := range faultWorlds {
		t.Run(name, func(t *testing.T) {
			f := faultyOf(t, world.file, world.text, world.fault, world.params)
			f.inject(t)
			f.write(t, "theirs, and longer than it was before\n")
			if err := f.injector.Undo(t.Context(), f.record); !errors.Is(err, chaos.ErrResidue) {
				t.Errorf("the undo says %v, want a residue", err)
			}
			if got := content(t, f.target); got != "theirs, and longer than it was before\n" {
				t.Errorf("the file holds %q", got)
			}
		})
	}
}

// A file that changes between the checkpoint and the injection is left alone.
func TestFaultsLeaveAChangedFileAlone(t *testing.T) {
	for name, world := range faultWorlds {
		t.Run(name, func(t *testing.T) {
			f := faultyOf(t, world.file, world.text, world.fault, world.params)
			fault := made(t, world.fault, f.record.Params)
			checkpoint, err := fault.(chaos.Checkpointer).Checkpoint(t.Context(), chaos.Call{Record: f.record})
			if err != nil {
				t.Fatal(err)
			}
			f.record.Checkpoint = checkpoint
			f.write(t, "theirs, and longer than it was before\n")
			wantError(t, fault.Inject(t.Context(), chaos.Call{Record: f.record}), "somebody else changed")
			if got := content(t, f.target); got != "theirs, and longer than it was before\n" {
				t.Errorf("the file holds %q", got)
			}
		})
	}
}

// Who writes the file after it was read is not overwritten unseen.
func TestSwapOfAFileThatChangedMeanwhile(t *testing.T) {
	f := faultyOf(t, "nginx.conf", nginxConf, "file.drift", `{"replace": {"from": "80", "to": "81"}}`)
	read, err := os.Stat(f.path())
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "theirs\n")
	if err := swap(f.path(), "d-1", []byte("ours\n"), read); !errors.Is(err, errMeanwhile) {
		t.Errorf("error is %v", err)
	}
	if got := content(t, f.target); got != "theirs\n" {
		t.Errorf("the file holds %q", got)
	}
	f.alone(t)
}

// A process that was killed while it wrote leaves a part of the chunk damaged, or a file beside its own.
func TestUndoOfHalfAFault(t *testing.T) {
	world := faultWorlds["flip"]
	f := faultyOf(t, world.file, world.text, world.fault, world.params)
	f.inject(t)
	f.write(t, "012\xcc\xcb56789")
	if err := f.injector.Undo(t.Context(), f.record); err != nil || content(t, f.target) != world.text {
		t.Errorf("half a flip: %v, and the file holds %q", err, content(t, f.target))
	}
	world = faultWorlds["truncate"]
	f = faultyOf(t, world.file, world.text, world.fault, world.params)
	f.inject(t)
	f.write(t, "01234")
	if err := f.injector.Undo(t.Context(), f.record); err != nil || content(t, f.target) != world.text {
		t.Errorf("half an undo: %v, and the file holds %q", err, content(t, f.target))
	}
	world = faultWorlds["drift of text"]
	f = faultyOf(t, world.file, world.text, world.fault, world.params)
	f.inject(t)
	stray := filepath.Join(f.target.Dir, partOf(f.path(), f.record.ID)+"123")
	if err := os.WriteFile(stray, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.injector.Undo(t.Context(), f.record); err != nil {
		t.Error(err)
	}
	f.alone(t)
}

// The rest of a file that others write to is none of the fault's.
func TestCorruptLeavesTheRestToOthers(t *testing.T) {
	f := faultyOf(t, "data.bin", "0123456789", "file.corrupt", `{"how": "overwrite", "offset": 2, "with": "xx"}`)
	f.inject(t)
	f.write(t, "A1xx456789 and more")
	if err := f.injector.Undo(t.Context(), f.record); err != nil {
		t.Error(err)
	}
	if got := content(t, f.target); got != "A123456789 and more" {
		t.Errorf("the file holds %q", got)
	}
}

// Who holds the file open sees the damage: it is the same file.
func TestCorruptDamagesTheFileWhereItLies(t *testing.T) {
	f := faultyOf(t, "data.bin", "0123456789", "file.corrupt", `{"how": "overwrite", "with": "x"}`)
	open, err := os.Open(f.path())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	f.inject(t)
	first := make([]byte, 1)
	if _, err := open.ReadAt(first, 0); err != nil || string(first) != "x" {
		t.Errorf("who holds it open reads %q, %v", first, err)
	}
}

// The file that a link leads to is changed, and the link stays.
func TestDriftFollowsALink(t *testing.T) {
	f := faultyOf(t, "real.txt", "pool: 10\n", "file.drift", `{"key": "pool", "value": 1}`)
	link := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.Symlink(f.path(), link); err != nil {
		t.Fatal(err)
	}
	real := f.path()
	f.record.Target = at(link)
	f.inject(t)
	if text, err := os.ReadFile(real); string(text) != "pool: 1\n" {
		t.Errorf("the file behind the link holds %q, %v", text, err)
	}
	if to, err := os.Readlink(link); err != nil || to != real {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if err := f.injector.Undo(t.Context(), f.record); err != nil {
		t.Error(err)
	}
}

// A target of another kind that has a file, such as one that is kept in Git, can be broken by the fault's full name.
func TestFaultsWorkOnOtherKinds(t *testing.T) {
	f := faultyOf(t, "nginx.conf", nginxConf, "file.drift", `{"replace": {"from": "80", "to": "81"}}`)
	f.record.Target.Kind, f.record.Target.Params = "gitfile", jenner.Params{"file": jenner.Raw("nginx.conf"), "path": jenner.Raw("web/nginx.conf")}
	f.inject(t)
	if got := content(t, f.target); !strings.Contains(got, "listen 81;") {
		t.Errorf("the file holds %q", got)
	}
	if err := f.injector.Undo(t.Context(), f.record); err != nil {
		t.Error(err)
	}
	f.record.Target.Params = jenner.Params{}
	_, err := f.injector.Inject(t.Context(), f.record, time.Minute)
	wantError(t, err, "gitfile/flags", "names no file")
}

func TestFaultsRefuse(t *testing.T) {
	for name, test := range map[string]struct {
		file, fault, params string
		parts               []string
	}{
		"no such text":     {"f.conf", "file.drift", `{"replace": {"from": "nowhere", "to": "x"}}`, []string{"0 times"}},
		"text that twice":  {"f.conf", "file.drift", `{"replace": {"from": "s", "to": "x"}}`, []string{"2 times"}},
		"no format":        {"f.conf", "file.drift", `{"key": "a", "value": 1}`, []string{"neither .json nor .yaml"}},
		"so already":       {"f.yaml", "file.drift", `{"key": "a", "value": 1}`, []string{"so already"}},
		"behind the end":   {"f.conf", "file.corrupt", `{"how": "flip", "offset": 10, "bytes": 20}`, []string{"has 17 bytes"}},
		"nothing to cut":   {"f.conf", "file.corrupt", `{"how": "truncate", "offset": 17}`, []string{"has 17 bytes"}},
		"the same already": {"f.conf", "file.corrupt", `{"how": "overwrite", "with": "server"}`, []string{"already"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := map[string]string{"f.conf": "server { listen }", "f.yaml": "a: 1\n"}[test.file]
			f := faultyOf(t, test.file, text, test.fault, test.params)
			_, err := f.injector.Inject(t.Context(), f.record, time.Minute)
			wantError(t, err, test.parts...)
			if got := content(t, f.target); got != text {
				t.Errorf("the file holds %q", got)
			}
		})
	}
}

func TestFaultParametersThatAreWrong(t *testing.T) {
	for _, wrong := range []chaos.Validator{
		&FaultDrift{}, &FaultDrift{Key: "a"}, &FaultDrift{Key: "a", Value: json.RawMessage("1"), Replace: &Replacement{From: "a"}},
		&FaultDrift{Replace: &Replacement{}}, &FaultDrift{Replace: &Replacement{From: "a", To: "a"}},
		&FaultDrift{Value: json.RawMessage("1"), Replace: &Replacement{From: "a"}},
		&FaultCorrupt{}, &FaultCorrupt{How: "melt", Bytes: 1}, &FaultCorrupt{How: "flip"}, &FaultCorrupt{How: "flip", Bytes: 1, Offset: -1},
		&FaultCorrupt{How: "truncate", Bytes: 1}, &FaultCorrupt{How: "flip", Bytes: 1, With: "x"}, &FaultCorrupt{How: "flip", Bytes: 2 << 20},
	} {
		if wrong.Validate() == nil {
			t.Errorf("accepted: %+v", wrong)
		}
	}
}

// Whatever the two texts: the piece in which they differ, put back, gives the first one.
func TestEveryDifferenceComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]byte("ab\n")), 0, 12)
		before, after := text.Draw(t, "before"), text.Draw(t, "after")
		from, old, instead := difference(before, after)
		there, err := spliced(before, from, old, instead)
		if err != nil || !bytes.Equal(there, after) {
			t.Fatalf("%q becomes %q, %v; want %q", before, there, err, after)
		}
		back, err := spliced(after, from, instead, old)
		if err != nil || !bytes.Equal(back, before) {
			t.Fatalf("%q becomes %q, %v; want %q", after, back, err, before)
		}
	})
}
