package build

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSourceIsFoundFromAnywhereInTheRepository(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Dir(here)
	for _, from := range []string{".", "..", "../..", "../../.."} {
		t.Run(from, func(t *testing.T) {
			t.Chdir(filepath.Join(here, from))
			if got, err := Source(); got != want || err != nil {
				t.Errorf("%s, %v; not %s", got, err, want)
			}
		})
	}
	t.Chdir(t.TempDir())
	if _, err := Source(); err == nil || !strings.Contains(err.Error(), "change into the repository") {
		t.Errorf("outside of the repository: %v", err)
	}
}

// TestTheVersionIsThatOfGoMod: the programs would call themselves something else than they are.
func TestTheVersionIsThatOfGoMod(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := requirements(string(text))
	if !slices.Contains(found, "k8s.io/kubernetes "+Version) {
		t.Errorf("go.mod requires another Kubernetes than %s", Version)
	}
	staging := "v0." + strings.TrimPrefix(Version, "v1.")
	for _, line := range found {
		if strings.Contains(line, "=>") && !strings.HasSuffix(line, " "+staging) {
			t.Errorf("%q does not belong to Kubernetes %s", line, Version)
		}
	}
}

func TestRequirements(t *testing.T) {
	got := requirements("module m\n\ngo 1.26\n\nrequire b.org/b v1.2.3\n\nrequire (\n\ta.org/a v1.0.0 // indirect\n)\n\ntool c.org/c\n\nreplace (\n\tx => y v0.1.0\n)\n")
	if want := []string{"a.org/a v1.0.0", "b.org/b v1.2.3", "x => y v0.1.0"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestTheCacheBelongsToTheSource(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	source := t.TempDir()
	write := func(text string) string {
		if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		bin, err := Cache(source)
		if err != nil {
			t.Fatal(err)
		}
		return bin
	}
	one := write("require (\n\ta v1.0.0\n\tb v1.0.0 // indirect\n)\n")
	if same := write("require a v1.0.0\n\nrequire b v1.0.0\n"); same != one {
		t.Error("it depends on which modules are required directly")
	}
	if other := write("require (\n\ta v1.0.1\n\tb v1.0.0\n)\n"); other == one {
		t.Error("it is the same for another version of a module")
	}
	if !strings.HasPrefix(one, os.Getenv("XDG_CACHE_HOME")) || filepath.Base(one) != "bin" {
		t.Errorf("it is %s", one)
	}
}

// TestWhatIsThereIsNotBuilt: with all programs in the cache neither Go nor the source is needed.
func TestWhatIsThereIsNotBuilt(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	bin, err := Cache("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, component := range Components {
		if err := os.WriteFile(filepath.Join(bin, component), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", "/nowhere")
	if got, err := Kubernetes(t.Context(), "..", io.Discard); got != bin || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if err := os.Remove(filepath.Join(bin, "kubelet")); err != nil {
		t.Fatal(err)
	}
	if _, err := Kubernetes(t.Context(), "..", io.Discard); err == nil || !strings.Contains(err.Error(), "kubelet") {
		t.Errorf("one is missing and Go too: %v", err)
	}
}

func TestProgramIsStatic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	if err := Program(t.Context(), "..", "./pause", path); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("go", "version", "-m", path).CombinedOutput()
	if err != nil || !strings.Contains(string(text), "CGO_ENABLED=0") {
		t.Errorf("%v: %s", err, text)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, wrong := range []func() error{
		func() error { return Program(t.Context(), "..", "./nothing", path+"2") },
		func() error { return Program(ended, "..", "./pause", path+"2") },
	} {
		if err := wrong(); err == nil {
			t.Error("no error")
		}
		if _, err := os.Stat(path + "2"); err == nil {
			t.Error("there is a program that was not built")
		}
	}
}
