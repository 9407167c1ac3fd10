package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

// Signals are what may be done to a service, by its name on the command line.
var Signals = map[string]unix.Signal{
	"pause":  unix.SIGSTOP, // as one that hangs: connections are taken and nothing is answered
	"resume": unix.SIGCONT,
	"kill":   unix.SIGKILL, // its machine starts it again half a second later
}

// Signal sends a signal to a service of a machine, such as kube-apiserver on control-plane or kubelet on node1.
func (l *Lab) Signal(name, service string, signal unix.Signal) error {
	spec, err := machine.Load(l.specFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no machine %q; the machines are %s", name, strings.Join(l.Order, ", "))
	} else if err != nil {
		return err
	}
	if !l.Running(name) {
		return fmt.Errorf("machine %s does not run", name)
	}
	var names []string
	for _, one := range spec.Services {
		names = append(names, one.Name)
		if one.Name != service {
			continue
		}
		pid, err := processOf(l.Machines[name].PID, one.Args)
		if err != nil {
			return fmt.Errorf("%s on %s: %w", service, name, err)
		}
		return unix.Kill(pid, signal)
	}
	return fmt.Errorf("machine %s has no service %q; it has %s", name, service, strings.Join(names, ", "))
}

// processOf finds the process of a machine that has a command line.
func processOf(first int, args []string) (int, error) {
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", first))
	if err != nil {
		return 0, err
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		process := filepath.Dir(filepath.Dir(link))
		if of, err := os.Readlink(link); err != nil || of != space {
			continue
		}
		line, err := os.ReadFile(filepath.Join(process, "cmdline"))
		if err == nil && string(line) == strings.Join(args, "\x00")+"\x00" {
			return strconv.Atoi(filepath.Base(process))
		}
	}
	return 0, errors.New("it does not run at the moment")
}

// Cut takes a node from the network, or lets it in again: it goes on working, and nobody hears of it.
func (l *Lab) Cut(name string, off bool) error {
	return l.change(func() error {
		if !l.isNode(name) {
			return l.noNode(name)
		}
		if !l.Running(name) {
			return fmt.Errorf("%s does not run", name)
		}
		control, err := l.control()
		if err != nil {
			return err
		}
		return machine.SetPort(control.PID, name, !off)
	})
}
