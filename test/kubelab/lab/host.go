package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// needed are the programs that a lab takes from the distribution, with their Debian packages.
var needed = [][2]string{
	{"/usr/bin/etcd", "etcd-server"}, {"/usr/bin/containerd", "containerd"}, {"/usr/bin/ctr", "containerd"}, {"/usr/sbin/runc", "runc"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"}, {"/usr/sbin/nft", "nftables"},
}

func programs() error { return programsIn("/") }

func programsIn(root string) error {
	var missing, packages []string
	for _, need := range needed {
		if _, err := os.Stat(filepath.Join(root, need[0])); err != nil {
			missing = append(missing, need[0])
			if text := strings.Join(packages, " "); !strings.Contains(text, need[1]) {
				packages = append(packages, need[1])
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("not installed: %s; apt-get install --no-install-recommends %s", strings.Join(missing, ", "), strings.Join(packages, " "))
}

func root() error {
	if os.Geteuid() != 0 {
		return errors.New("a lab makes namespaces, interfaces and control groups; run it as root")
	}
	return nil
}

// snapshotter is containerd's for a folder: a file system that lies in layers already cannot take more of them.
func snapshotter(dir string) string {
	var below unix.Statfs_t
	if err := unix.Statfs(dir, &below); err == nil && below.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

func dial(ctx context.Context, address string) error {
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

// lastWords are the ends of the logs of services.
func (l *Lab) lastWords(name string, services []string) string {
	var words strings.Builder
	for _, service := range services {
		path := filepath.Join(l.Logs(), name, service+".log")
		fmt.Fprintf(&words, "\nthe end of %s:\n%s", path, tail(path, 15))
	}
	return words.String()
}

// tail is the last lines of a file.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
