package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/jenner-heal/jenner/internal/lab"
)

//go:embed s1 s2 s18blind s18topology s20 s21 s5 kube
var documents embed.FS

// world is one running system and the files that describe it to Jenner. Its fields and methods are what the documents,
// which are Go templates, may use.
type world struct {
	Dir    string            // everything of this world is below it
	App    string            // the program of scenarios/app
	Values map[string]string // what build found out: ports, addresses, users

	programs string
	files    string // folder of the embedded documents
	ports    map[string]int
	stops    []func() error
}

func newWorld(programs string, s scenario) (*world, error) {
	dir, err := os.MkdirTemp(programs, strings.ToLower(s.id+"-"+s.name+"-"))
	if err != nil {
		return nil, err
	}
	w := &world{Dir: dir, App: filepath.Join(programs, "app"), Values: map[string]string{}, programs: programs, files: s.files,
		ports: map[string]int{}}
	return w, errors.Join(os.Chmod(dir, 0o755), os.MkdirAll(w.path("run"), 0o755), os.MkdirAll(w.path("jenner"), 0o755))
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.Dir}, parts...)...)
}

// Port is a free port of this world under a name, the same one whenever it is asked for.
func (w *world) Port(name string) (int, error) {
	if port, known := w.ports[name]; known {
		return port, nil
	}
	port, err := lab.FreePort()
	w.ports[name] = port
	return port, err
}

// Address is 127.0.0.1 and the port of that name.
func (w *world) Address(name string) (string, error) {
	port, err := w.Port(name)
	return fmt.Sprintf("127.0.0.1:%d", port), err
}

// ends has something ended with the world, the last one first.
func (w *world) ends(stop func() error) { w.stops = append(w.stops, stop) }

// app starts a program of scenarios/app that belongs to the world and not to Jenner.
func (w *world) app(args ...string) error {
	process, err := lab.Start(lab.Options{Dir: w.Dir, Path: w.path("run", args[0]+".log")}, append([]string{w.App}, args...)...)
	if err != nil {
		return err
	}
	w.ends(func() error { return process.Stop(syscall.SIGTERM, 3*time.Second) })
	return nil
}

// pidfile ends with the world a process that Jenner, too, may start and stop: whoever the pidfile names then.
func (w *world) pidfile(name string) {
	w.ends(func() error {
		raw, err := os.ReadFile(w.path("run", name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		var pid int
		if _, scanErr := fmt.Sscan(string(raw), &pid); err != nil || scanErr != nil {
			return errors.Join(err, scanErr)
		}
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || exe != w.App {
			return nil // it has ended, and another one may have its number by now
		}
		_ = syscall.Kill(pid, syscall.SIGCONT)
		return syscall.Kill(pid, syscall.SIGKILL)
	})
}

// answers waits until a URL gives a status below 400.
func (w *world) answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode < 400 {
				return nil
			}
			err = fmt.Errorf("it gives status %d", response.StatusCode)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not become well: %w", url, err)
		case <-tick.C:
		}
	}
}

// write fills in the documents and writes them into the world's folder jenner.
func (w *world) write() error {
	return fs.WalkDir(documents, w.files, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text := &strings.Builder{}
		if err := w.fill(path, text); err != nil {
			return err
		}
		return os.WriteFile(w.path("jenner", filepath.Base(path)), []byte(text.String()), 0o644)
	})
}

// sharedParts are templates that documents of several scenarios are made of.
const sharedParts = "kube/parts.yaml"

// fill fills in one of the embedded documents.
func (w *world) fill(path string, into io.Writer) error {
	raw, err := documents.ReadFile(path)
	if err != nil {
		return err
	}
	filled, err := template.New(path).Option("missingkey=error").Funcs(template.FuncMap{"parts": parts}).ParseFS(documents, sharedParts)
	if err != nil {
		return err
	}
	if filled, err = filled.Parse(string(raw)); err != nil {
		return err
	}
	return filled.Execute(into, w)
}

// parts is what a shared template is given: names and values in turn. A value that is missing is empty there.
func parts(pairs ...any) (map[string]any, error) {
	given := map[string]any{"more": nil, "targets": nil, "replicas": nil, "deadline": nil, "strategy": nil, "grace": nil, "image": nil,
		"env": nil, "resources": nil, "mounts": nil, "volumes": nil, "tolerations": nil, "spread": nil, "liveness": nil, "metrics": nil, "alerts": nil}
	for i := 0; i+1 < len(pairs); i += 2 {
		given[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("parts wants names and values in turn")
	}
	return given, nil
}

// Value is what build found out under that name.
func (w *world) Value(name string) (string, error) {
	value, known := w.Values[name]
	if !known {
		return "", fmt.Errorf("build found out no %s", name)
	}
	return value, nil
}

// end ends everything, and removes the folder unless it is to be kept.
func (w *world) end(keep bool) error {
	var err error
	for i := len(w.stops) - 1; i >= 0; i-- {
		err = errors.Join(err, w.stops[i]())
	}
	if keep {
		kept, keepErr := os.MkdirTemp("", "jenner-kept-")
		if keepErr == nil {
			keepErr = os.Rename(w.Dir, filepath.Join(kept, filepath.Base(w.Dir)))
		}
		fmt.Fprintf(os.Stderr, "  kept in %s\n", kept)
		return errors.Join(err, keepErr)
	}
	return errors.Join(err, os.RemoveAll(w.Dir))
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }
