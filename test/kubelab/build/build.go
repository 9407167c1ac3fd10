// Package build makes the programs of a lab from source: those of Kubernetes, which are kept in a cache because they
// take a quarter of an hour, and the lab's own small ones.
//
// It is for Go programs of this module. It is not for what comes from the distribution, such as etcd and containerd.
package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Version is the version of Kubernetes; go.mod has the same one.
const Version = "v1.36.3"

// Components are the programs of Kubernetes that a lab has.
var Components = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}

// module is the line by which the folder with the source is known.
const module = "module github.com/jenner-heal/jenner/test/kubelab"

// Source finds the folder of this module: the one that the caller is in, one above it, or test/kubelab below one of these.
func Source() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		for _, candidate := range []string{dir, filepath.Join(dir, "test", "kubelab")} {
			text, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
			if err == nil && strings.HasPrefix(string(text), module+"\n") {
				return candidate, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("the source of kubelab is neither %s nor above it; change into the repository", start)
		}
	}
}

// Cache is the folder for the programs of Kubernetes that belong to this source: another version of Kubernetes, of one
// of its modules or of Go has another folder.
func Cache(source string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, Version, runtime.Version(), runtime.GOARCH, flags())
	text, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", err
	}
	for _, line := range requirements(string(text)) {
		fmt.Fprintln(sum, line)
	}
	return filepath.Join(base, "jenner-kubelab", fmt.Sprintf("%s-%x", Version, sum.Sum(nil)[:6]), "bin"), nil
}

// requirements are the modules in a go.mod with their versions, sorted. Which of them are required directly, which may
// change with the lab's own programs, says nothing of what Kubernetes is built from.
func requirements(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && strings.HasPrefix(fields[len(fields)-1], "v") {
			found = append(found, strings.Join(fields, " "))
		}
	}
	slices.Sort(found)
	return found
}

// flags are those of every build. Without cgo the programs run whatever C library there is.
func flags() []string {
	link := "-s -w"
	for _, where := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		parts := strings.Split(strings.TrimPrefix(Version, "v"), ".")
		link += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", where, Version, parts[0], parts[1])
	}
	return []string{"-trimpath", "-ldflags", link}
}

// Kubernetes builds the components that the cache does not have yet, and returns the folder that has all. Two callers
// at the same time build once.
func Kubernetes(ctx context.Context, source string, progress io.Writer) (string, error) {
	bin, err := Cache(source)
	if err != nil {
		return "", err
	}
	if len(missing(bin)) == 0 {
		return bin, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(bin + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	for _, component := range missing(bin) { // another one may have built it meanwhile
		fmt.Fprintf(progress, "building %s %s; all together take a quarter of an hour on two cores, once\n", component, Version)
		if err := Program(ctx, source, "k8s.io/kubernetes/cmd/"+component, filepath.Join(bin, component)); err != nil {
			return "", err
		}
	}
	return bin, nil
}

// agentSources are the packages of this module that the network agent is made from.
var agentSources = []string{"netagent", "policy", "names"}

// Agent builds the network agent next to Kubernetes' programs where this state of its source was not built yet, for it
// uses much of their source. It returns the program's name, in which the state is told.
func Agent(ctx context.Context, source, bin string) (string, error) {
	sum := sha256.New()
	for _, folder := range agentSources {
		files, err := filepath.Glob(filepath.Join(source, folder, "*.go"))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(sum, filepath.Base(file), len(text))
			sum.Write(text)
		}
	}
	name := fmt.Sprintf("netagent-%x", sum.Sum(nil)[:6])
	if _, err := os.Stat(filepath.Join(bin, name)); err == nil {
		return name, nil
	}
	unlock, err := lock(bin + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	return name, Program(ctx, source, "./netagent", filepath.Join(bin, name))
}

func missing(bin string) []string {
	var names []string
	for _, component := range Components {
		if _, err := os.Stat(filepath.Join(bin, component)); err != nil {
			names = append(names, component)
		}
	}
	return names
}

// Program builds one program of this module or of one that it requires. The file is there when it is whole, or not at all.
func Program(ctx context.Context, source, pkg, path string) error {
	part := path + ".part"
	args := append(append([]string{"build"}, flags()...), "-o", part, pkg)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", pkg, errors.Join(context.Cause(ctx), err), said)
	}
	return os.Rename(part, path)
}

// lock waits until nobody else has the lock.
func lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fs.FileMode(0o644))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return func() { file.Close() }, nil
}
