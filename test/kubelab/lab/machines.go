package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/jenner-heal/jenner/test/kubelab/cluster"
	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

// prepare gives a machine its folders, and keeps its spec.
func (l *Lab) prepare(spec machine.Spec) error {
	home := filepath.Join(l.Dir, "machines", spec.Name)
	spec.Root, spec.Var = filepath.Join(home, "root"), filepath.Join(home, "var")
	spec.Log, spec.Programs = filepath.Join(l.Logs(), spec.Name), l.Programs
	l.Order = append(l.Order, spec.Name)
	return errors.Join(spec.Save(l.specFile(spec.Name)), l.save())
}

// boot starts a machine that was prepared.
func (l *Lab) boot(name string, plug func(name string, pid int) error) error {
	spec, err := machine.Load(l.specFile(name))
	if err != nil {
		return err
	}
	if spec.Group != "" {
		if err := machine.MakeGroup(spec.Group); err != nil {
			return err
		}
	}
	_, err = machine.Start(spec, func(pid int) error {
		process, err := machine.Find(pid)
		if err != nil {
			return err
		}
		l.Machines[name] = process
		return errors.Join(l.save(), plug(name, pid)) // from here on it can be stopped by whoever comes later
	})
	return err
}

// plugHost makes the switch and plugs the host into it.
func (l *Lab) plugHost(_ string, pid int) error {
	if err := machine.AddSwitch(pid); err != nil {
		return err
	}
	peer := l.Plan.Name() + "p"
	link, err := netlink.LinkByName(peer)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetNsPid(link, pid); err != nil {
		return err
	}
	return machine.PlugIn(pid, peer)
}

func joinHost(plan cluster.Plan) error { return machine.Join(nil, plan.Name(), plan.HostNet()) }

// plugNode plugs a node into the switch.
func (l *Lab) plugNode(name string, pid int) error {
	control, err := l.control()
	if err != nil {
		return err
	}
	if err := machine.Connect(machine.Plug{PID: control.PID, Name: name}, machine.Plug{PID: pid, Name: machine.Uplink}); err != nil {
		return err
	}
	return machine.PlugIn(control.PID, name)
}

// control is the machine with the switch.
func (l *Lab) control() (machine.Process, error) {
	process := l.Machines[cluster.ControlPlaneName]
	if !process.Alive() {
		return process, errors.New("the control plane, with the switch, does not run")
	}
	return process, nil
}

// StopNode stops a node as if its plug was pulled: the kubelet, all containers and its network end at once, and the
// cluster is told nothing. Stopping it twice is as stopping it once.
func (l *Lab) StopNode(ctx context.Context, name string) error {
	return l.change(func() error {
		if !l.isNode(name) {
			return l.noNode(name)
		}
		return l.stop(ctx, name)
	})
}

func (l *Lab) isNode(name string) bool { return slices.Contains(l.Nodes(), name) }

func (l *Lab) noNode(name string) error {
	return fmt.Errorf("there is no node %q; the nodes are %s", name, strings.Join(l.Nodes(), ", "))
}

func (l *Lab) stop(ctx context.Context, name string) error {
	process, started := l.Machines[name]
	if !started {
		return nil
	}
	if err := process.Kill(ctx); err != nil {
		return fmt.Errorf("machine %s: %w", name, err)
	}
	delete(l.Machines, name)
	return l.save()
}

// StartNode starts a node that was stopped. What it had stored is still there; its containers are not.
func (l *Lab) StartNode(name string) error {
	return l.change(func() error {
		if !l.isNode(name) {
			return l.noNode(name)
		}
		if l.Running(name) {
			return fmt.Errorf("%s runs already", name)
		}
		return l.boot(name, l.plugNode)
	})
}

// Down stops everything in the reverse of its order and removes what was made, all but the logs.
func (l *Lab) Down(ctx context.Context) error {
	return l.change(func() error { return l.remove(ctx) })
}

func (l *Lab) remove(ctx context.Context) error {
	for _, name := range slices.Backward(l.Order) {
		if err := l.stop(ctx, name); err != nil {
			return err
		}
	}
	if l.Claimed {
		if err := unplugHost(l.Plan); err != nil {
			return err
		}
		if err := machine.RemoveGroup(ctx, l.Plan.Name()); err != nil {
			return err
		}
	}
	for _, name := range []string{"machines", "images", "admin.kubeconfig"} {
		if err := os.RemoveAll(filepath.Join(l.Dir, name)); err != nil {
			return err
		}
	}
	// The last, so that what failed above can be tried again. A start that failed early has not written it.
	if err := os.Remove(filepath.Join(l.Dir, stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unplugHost removes the host's interface, with its routes; it goes by itself a moment after the machine at its other end.
func unplugHost(plan cluster.Plan) error {
	link, err := netlink.LinkByName(plan.Name())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	} else if err != nil {
		return err
	}
	if err := netlink.LinkDel(link); err != nil {
		if _, still := netlink.LinkByName(plan.Name()); still != nil {
			return nil
		}
		return fmt.Errorf("interface %s: %w", plan.Name(), err)
	}
	return nil
}
