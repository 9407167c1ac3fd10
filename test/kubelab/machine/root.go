package machine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is one line of the machine's file system.
type mount struct {
	from, to, kind string
	flags          uintptr
	data           string
	optional       bool // left out where the host has no such file
}

// makeRoot builds a root file system in memory from parts of the host's and makes it the machine's own. The host's is
// out of sight afterwards, and nothing that is mounted here is seen by the host.
func makeRoot(spec Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot part from the host's mounts: %w", err)
	}
	if err := unix.Mount("machine", spec.Root, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("%s: %w", spec.Root, err)
	}
	const read = unix.MS_BIND | unix.MS_RDONLY
	mounts := []mount{
		{from: "/usr", to: "/usr", flags: read},
		{from: "/etc/alternatives", to: "/etc/alternatives", flags: read, optional: true},
		{from: "/etc/ld.so.cache", to: "/etc/ld.so.cache", flags: read, optional: true},
		{from: "/dev", to: "/dev", flags: unix.MS_BIND | unix.MS_REC},
		{from: spec.Programs, to: "/opt/kubelab/bin", flags: read},
		{from: spec.Var, to: "/var", flags: unix.MS_BIND},
		{from: spec.Log, to: "/var/log", flags: unix.MS_BIND},
		{from: "proc", to: "/proc", kind: "proc"},
		{from: "sysfs", to: "/sys", kind: "sysfs"},
		{from: "/sys/fs/cgroup", to: "/sys/fs/cgroup", flags: unix.MS_BIND | unix.MS_REC},
		{from: "bpf", to: "/sys/fs/bpf", kind: "bpf", optional: true},
	}
	for _, folder := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if target, err := os.Readlink(folder); err == nil {
			if err := os.Symlink(target, spec.Root+folder); err != nil {
				return err
			}
			continue
		}
		mounts = append(mounts, mount{from: folder, to: folder, flags: read, optional: true})
	}
	for _, folder := range spec.Memory {
		mounts = append(mounts, mount{from: "memory", to: folder, kind: "tmpfs"})
	}
	for _, m := range mounts {
		if err := m.under(spec.Root); err != nil {
			return err
		}
	}
	if err := writeFiles(spec); err != nil {
		return err
	}
	return turnRoot(spec.Root)
}

// under mounts below the new root.
func (m mount) under(root string) error {
	to := root + m.to
	var err error
	if info, statErr := os.Stat(m.from); m.kind == "" && statErr != nil {
		if m.optional && errors.Is(statErr, fs.ErrNotExist) {
			return nil
		}
		return statErr
	} else if m.kind == "" && !info.IsDir() {
		err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, nil, 0o644))
	} else if _, statErr := os.Stat(to); statErr != nil {
		err = os.MkdirAll(to, 0o755)
	}
	if err != nil {
		if m.optional {
			return nil
		}
		return err
	}
	if err := unix.Mount(m.from, to, m.kind, m.flags, m.data); err != nil {
		if m.optional {
			return nil
		}
		return fmt.Errorf("mount %s on %s: %w", m.from, m.to, err)
	}
	if m.flags&unix.MS_RDONLY != 0 { // the kernel takes it for a bind mount in a second call only
		if err := unix.Mount("", to, "", unix.MS_REMOUNT|m.flags, ""); err != nil {
			return fmt.Errorf("make %s read-only: %w", m.to, err)
		}
	}
	return nil
}

func writeFiles(spec Spec) error {
	files := map[string]string{
		"/etc/hostname":    spec.Name + "\n",
		"/etc/machine-id":  fmt.Sprintf("%.16x\n", sha256.Sum256([]byte(spec.Root))), // as long as one, and another for each machine
		"/etc/hosts":       "127.0.0.1 localhost\n" + spec.Net.Address.Addr().String() + " " + spec.Name + "\n",
		"/etc/resolv.conf": "",
		"/etc/passwd":      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"/etc/group":       "root:x:0:\nnogroup:x:65534:\n",
	}
	for path, text := range spec.Files {
		files[path] = text
	}
	for path, text := range files {
		mode := fs.FileMode(0o600)
		if strings.Count(path, "/") == 2 { // of the system itself, such as /etc/hosts
			mode = 0o644
		}
		if err := os.MkdirAll(filepath.Dir(spec.Root+path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(spec.Root+path, []byte(text), mode); err != nil {
			return err
		}
	}
	for _, folder := range []string{"/run", "/root", "/var/lib"} {
		if err := os.MkdirAll(spec.Root+folder, 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", spec.Root+"/var/run"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.MkdirAll(spec.Root+"/tmp", 0o755); err != nil {
		return err
	}
	return os.Chmod(spec.Root+"/tmp", 0o777|fs.ModeSticky)
}

// turnRoot makes root the root and lets go of the old one.
func turnRoot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("cannot turn the root: %w", err)
	}
	// The old root lies on top of the new one now; see pivot_root(2).
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot let go of the host's files: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	// Mounts that the kubelet makes are to be seen by containers that are started already, and the other way round.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("cannot share mounts: %w", err)
	}
	return nil
}
