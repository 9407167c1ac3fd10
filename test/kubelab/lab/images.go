package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/jenner-heal/jenner/test/kubelab/build"
	"github.com/jenner-heal/jenner/test/kubelab/cluster"
	"github.com/jenner-heal/jenner/test/kubelab/image"
)

// images builds the images that every lab has, and returns their archives.
func (l *Lab) images(ctx context.Context, source string) ([]string, error) {
	dir := filepath.Join(l.Dir, "images")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var archives []string
	for _, made := range []struct {
		name  string
		write func(io.Writer, string) error
	}{
		{"pause", func(w io.Writer, program string) error { return image.Pause(w, program, cluster.PauseImage) }},
		{"app", image.App},
	} {
		program := filepath.Join(dir, made.name)
		if err := build.Program(ctx, source, "./"+made.name, program); err != nil {
			return nil, err
		}
		archive := program + ".tar"
		if err := WriteArchive(archive, func(w io.Writer) error { return made.write(w, program) }); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

// WriteArchive writes an image archive into a file.
func WriteArchive(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(file); err != nil {
		file.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	return file.Close()
}

// Import loads the images of archives, as `docker save` or this lab writes them, into all nodes that run.
func (l *Lab) Import(ctx context.Context, archives ...string) error {
	for _, name := range l.Nodes() {
		if !l.Running(name) {
			continue
		}
		if err := l.importInto(ctx, name, archives); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) importInto(ctx context.Context, name string, archives []string) error {
	socket := filepath.Join("/proc", strconv.Itoa(l.Machines[name].PID), "root", cluster.Socket)
	for _, archive := range archives {
		args := []string{"--address", socket, "--namespace", "k8s.io", "images", "import", "--snapshotter", snapshotter(l.Dir), archive}
		if said, err := exec.CommandContext(ctx, "ctr", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: image %s: %w: %s", name, archive, err, said)
		}
	}
	return nil
}
