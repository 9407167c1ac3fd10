package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner/config"
)

func service(name string) string { return "kind: service\nname: " + name + "\n" }

func serviceNames(t *testing.T, path ...string) []string {
	t.Helper()
	var names []string
	for _, service := range mustLoad(t, path...).Documents.Services {
		names = append(names, service.Name)
	}
	return names
}

func link(t *testing.T, old, new string) {
	t.Helper()
	if err := os.Symlink(old, new); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreFoundBelowAFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.yaml", service("b")+"---\n"+service("c")+"---\n---\n# nothing\n")
	write(t, dir, "a.yml", service("a"))
	write(t, dir, "deep/er/d.yaml", service("d"))
	write(t, dir, "notes.txt", "no: yaml: at: all")
	write(t, dir, ".hidden.yaml", service("hidden"))
	write(t, dir, ".git/x.yaml", service("git"))
	write(t, dir, "empty.yaml", "")
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, serviceNames(t, dir)); diff != "" {
		t.Errorf("the services differ (-want +got):\n%s", diff)
	}
	single := filepath.Join(dir, "deep", "er", "d.yaml")
	if diff := cmp.Diff([]string{"d"}, serviceNames(t, single)); diff != "" {
		t.Errorf("one file (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, serviceNames(t, dir, single)); diff != "" {
		t.Errorf("a file named beside its folder is read once (-want +got):\n%s", diff)
	}
	hidden := filepath.Join(dir, ".hidden.yaml")
	if diff := cmp.Diff([]string{"hidden"}, serviceNames(t, hidden)); diff != "" {
		t.Errorf("a hidden file that is named itself is read (-want +got):\n%s", diff)
	}
}

func TestLinksDoNotLeadInCircles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sub/a.yaml", service("a"))
	link(t, dir, filepath.Join(dir, "sub", "up"))
	link(t, filepath.Join(dir, "sub", "a.yaml"), filepath.Join(dir, "again.yaml"))
	if diff := cmp.Diff([]string{"a"}, serviceNames(t, dir)); diff != "" {
		t.Errorf("the services differ (-want +got):\n%s", diff)
	}
}

// Kubernetes mounts a ConfigMap as links to a hidden folder.
func TestFilesOfAMountedConfigMap(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "..2026_03_01/a.yaml", service("a"))
	link(t, "..2026_03_01", filepath.Join(dir, "..data"))
	link(t, filepath.Join("..data", "a.yaml"), filepath.Join(dir, "a.yaml"))
	if diff := cmp.Diff([]string{"a"}, serviceNames(t, dir)); diff != "" {
		t.Errorf("the services differ (-want +got):\n%s", diff)
	}
}

func TestTargetsKnowTheFolderOfTheirFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sub/a.yaml", "kind: service\nname: a\ntargets: [{kind: process, name: p, start: ./p}]\n")
	t.Chdir(dir)
	docs := mustLoad(t, "sub").Documents
	if got := docs.Services[0].Targets[0].Dir; got != filepath.Join(dir, "sub") {
		t.Errorf("the target's folder is %s, want %s", got, filepath.Join(dir, "sub"))
	}
	if got := docs.Services[0].Source.File; got != filepath.Join("sub", "a.yaml") {
		t.Errorf("the source is %s, want it as it was found", got)
	}
}

func TestABrokenFileRefusesEverything(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", service("a"))
	write(t, dir, "z.yaml", "kind: servce\n")
	write(t, dir, "b.yaml", "kind: service\nnam: b\n")
	loaded, err := config.Load(dir)
	want := filepath.Join(dir, "b.yaml") + `:1: service needs the key "name"` + "\n" +
		filepath.Join(dir, "b.yaml") + `:2: unknown key "nam" in service; did you mean "name"?` + "\n" +
		filepath.Join(dir, "z.yaml") + `:1: unknown kind "servce"; did you mean "service"?`
	if loaded != nil || err == nil || err.Error() != want {
		t.Errorf("got %v and\n%v\nwant nothing and\n%s", loaded, err, want)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "huge.yaml", "# "+strings.Repeat("x", 5<<20))
	write(t, dir, "none/notes.txt", "")
	link(t, "nowhere", filepath.Join(dir, "broken.yaml"))
	if err := os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"huge.yaml":   "cannot be read: it has 5242882 bytes; more than 4194304 are refused",
		"missing":     "cannot be read: no such file or directory",
		"none":        "there is no .yaml or .yml file in this folder",
		"broken.yaml": "cannot be read: no such file or directory",
		"folder.yaml": "there is no .yaml or .yml file in this folder",
	} {
		path := filepath.Join(dir, path)
		if _, err := config.Load(path); err == nil || err.Error() != path+": "+want {
			t.Errorf("Load(%s): got %v, want %s", path, err, want)
		}
	}
	if _, err := config.Load("/dev/null"); err == nil || !strings.Contains(err.Error(), "it is no regular file") {
		t.Errorf("Load(/dev/null): got %v", err)
	}
	if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), "no folder was named") {
		t.Errorf("Load(): got %v", err)
	}
}
