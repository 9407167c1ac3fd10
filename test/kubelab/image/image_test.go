package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unpack reads an archive.
func unpack(t *testing.T, archive []byte) (map[string][]byte, map[string]int64) {
	t.Helper()
	bodies, modes := map[string][]byte{}, map[string]int64{}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := in.Next()
		if err == io.EOF {
			return bodies, modes
		} else if err != nil {
			t.Fatal(err)
		}
		if _, twice := bodies[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		if bodies[header.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		modes[header.Name] = header.Mode
	}
}

func TestAnArchiveHoldsTogether(t *testing.T) {
	program := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(program, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := App(out, program); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same program makes different images")
	}
	members, _ := unpack(t, first.Bytes())
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(members["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	env := map[string][]string{}
	for _, entry := range manifest {
		var config struct {
			OS     string
			Config struct {
				Entrypoint, Env []string
				User            string
			}
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		text := members[entry.Config]
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatalf("%s: %v", entry.Config, err)
		}
		if entry.Config != digest(text)+".json" || len(entry.Layers) != 1 {
			t.Errorf("%v: config %s, layers %v", entry.RepoTags, entry.Config, entry.Layers)
		}
		if want := "sha256:" + digest(members[entry.Layers[0]]); !slices.Equal(config.RootFS.DiffIDs, []string{want}) {
			t.Errorf("%v: layer %v, which is %s", entry.RepoTags, config.RootFS.DiffIDs, want)
		}
		if config.OS != "linux" || config.Config.User != User || !slices.Equal(config.Config.Entrypoint, []string{"/app"}) {
			t.Errorf("%v: %+v", entry.RepoTags, config)
		}
		for _, tag := range entry.RepoTags {
			env[tag] = config.Config.Env
		}
	}
	if got := env["docker.io/jenner-test/app:crash"]; !slices.Contains(got, "CRASH_AFTER=0s") || len(env) != 4 {
		t.Errorf("the images are %v", env)
	}
	layer, modes := unpack(t, members[manifest[0].Layers[0]])
	if string(layer["app"]) != "program" || modes["app"] != 0o755 || modes["tmp/"] != 0o1777 {
		t.Errorf("the layer has %v", modes)
	}
}

func TestFoldersComeBeforeTheirFiles(t *testing.T) {
	var out bytes.Buffer
	files := []File{{Path: "/etc/app/config", Mode: 0o644}, {Path: "/etc/other", Mode: 0o600}}
	if err := Write(&out, files, Image{Tags: []string{"docker.io/a/b:c"}}); err != nil {
		t.Fatal(err)
	}
	members, _ := unpack(t, out.Bytes())
	for name, body := range members {
		if filepath.Base(name) != "layer.tar" {
			continue
		}
		var order []string
		for in := tar.NewReader(bytes.NewReader(body)); ; {
			header, err := in.Next()
			if err != nil {
				break
			}
			order = append(order, header.Name)
		}
		if want := []string{"tmp/", "etc/", "etc/app/", "etc/app/config", "etc/other"}; !slices.Equal(order, want) {
			t.Errorf("%v, not %v", order, want)
		}
	}
}

func TestWhatIsNoImage(t *testing.T) {
	good := Image{Tags: []string{"docker.io/jenner-test/app:v1"}}
	for name, write := range map[string]func() error{
		"a path from nowhere": func() error { return Write(io.Discard, []File{{Path: "app"}}, good) },
		"a path out of it":    func() error { return Write(io.Discard, []File{{Path: "/../app"}}, good) },
		"a folder":            func() error { return Write(io.Discard, []File{{Path: "/app/"}}, good) },
		"a short name":        func() error { return Write(io.Discard, nil, Image{Tags: []string{"jenner-test/app:v1"}}) },
		"no tag":              func() error { return Write(io.Discard, nil, Image{Tags: []string{"docker.io/jenner-test/app"}}) },
		"no program":          func() error { return Jenner(io.Discard, "/nothing", good.Tags...) },
	} {
		if err := write(); err == nil {
			t.Errorf("%s is taken for an image", name)
		}
	}
}

// TestJennerIsCalledAsWanted: as the lab calls it, or as those who install it pull it.
func TestJennerIsCalledAsWanted(t *testing.T) {
	program := filepath.Join(t.TempDir(), "jenner")
	if err := os.WriteFile(program, []byte("static"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Jenner(&out, program, "ghcr.io/jenner-heal/jenner:0.1.0", Repository+"jenner:dev"); err != nil {
		t.Fatal(err)
	}
	members, _ := unpack(t, out.Bytes())
	if want := `"RepoTags":["ghcr.io/jenner-heal/jenner:0.1.0","docker.io/jenner-test/jenner:dev"]`; !strings.Contains(string(members["manifest.json"]), want) {
		t.Errorf("the manifest is %s", members["manifest.json"])
	}
}
