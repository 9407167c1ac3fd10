package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/test/kubelab/cluster"
	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

// Lab is a cluster with a folder of its own. What is to be stopped is written there before it is started, so that a
// later process can stop what an earlier one that was killed has started. Several processes may change it.
type Lab struct {
	Dir      string                     `json:"-"`
	Plan     cluster.Plan               `json:"plan"`
	Claimed  bool                       `json:"claimed"`  // the plan's network is this lab's; before that it may be another's
	Programs string                     `json:"programs"` // folder with the programs of Kubernetes
	Order    []string                   `json:"order"`    // machines as they were started
	Machines map[string]machine.Process `json:"machines"` // by name; only those that run
}

// ErrNone says that a folder has no lab.
var ErrNone = errors.New("no lab is up")

// Open finds the lab of a folder.
func Open(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s; start one with `kubelab up --dir %s`", ErrNone, dir, dir)
	} else if err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir, Machines: map[string]machine.Process{}}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, stateFile), err)
	}
	return l, nil
}

// change changes a lab as it is by now, which another process may have changed since this one has read it. Only one does
// so at a time.
func (l *Lab) change(how func() error) error {
	folder, err := os.Open(l.Dir)
	if err != nil {
		return err
	}
	defer folder.Close() // which gives the lock back
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("%s: %w", l.Dir, err)
	}
	now, err := Open(l.Dir)
	if err != nil {
		return err
	}
	*l = *now
	return how()
}

const stateFile = "lab.json"

func (l *Lab) save() error {
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return machine.WriteFile(filepath.Join(l.Dir, stateFile), append(text, '\n'))
}

// Kubeconfig is the file by which the cluster's administrator reaches it.
func (l *Lab) Kubeconfig() string { return filepath.Join(l.Dir, "admin.kubeconfig") }

// Logs is the folder with a folder for each machine, in which each service has its log, and each pod.
func (l *Lab) Logs() string { return filepath.Join(l.Dir, "logs") }

func (l *Lab) specFile(name string) string { return filepath.Join(l.Dir, "machines", name+".json") }

// Nodes are the names of all nodes, whether they run or not.
func (l *Lab) Nodes() []string {
	var names []string
	for i := range l.Plan.Nodes {
		names = append(names, cluster.NodeName(i))
	}
	return names
}

// Running tells whether a machine runs.
func (l *Lab) Running(name string) bool { return l.Machines[name].Alive() }
