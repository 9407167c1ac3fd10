package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/test/kubelab/build"
	"github.com/jenner-heal/jenner/test/kubelab/cluster"
	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

// Options say how a lab is started.
type Options struct {
	Dir      string // made where it is not there
	Nodes    int
	Source   string // folder of this module
	Progress io.Writer
}

// Up builds what is missing and starts a lab in a folder. It returns when nodes are ready and pods can be made; where
// that fails, nothing runs.
func Up(ctx context.Context, opts Options) (*Lab, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	if earlier, err := Open(dir); err == nil {
		return nil, fmt.Errorf("there is a lab in %s already; `kubelab down --dir %s` stops it", earlier.Dir, dir)
	} else if !errors.Is(err, ErrNone) {
		return nil, err
	}
	if err := errors.Join(root(), programs()); err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir, Machines: map[string]machine.Process{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if l.Programs, err = build.Kubernetes(ctx, opts.Source, opts.Progress); err != nil {
		return nil, err
	}
	agent, err := build.Agent(ctx, opts.Source, l.Programs)
	if err != nil {
		return nil, err
	}
	archives, err := l.images(ctx, opts.Source)
	if err != nil {
		return nil, err
	}
	u := &starter{Lab: l, progress: opts.Progress, began: time.Now(), archives: archives,
		cluster: cluster.Cluster{Agent: agent, Snapshotter: snapshotter(dir)}}
	if err := u.start(ctx, opts.Nodes); err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		return nil, errors.Join(err, l.remove(stopping))
	}
	return l, nil
}

// patience is for one thing that ends, or begins, when all is well.
const patience = 2 * time.Minute

// starter is what is known while a lab is being started.
type starter struct {
	*Lab
	cluster  cluster.Cluster
	client   *client
	progress io.Writer
	began    time.Time
	archives []string
}

func (u *starter) say(format string, args ...any) {
	fmt.Fprintf(u.progress, "%5.1f s  %s\n", time.Since(u.began).Seconds(), fmt.Sprintf(format, args...))
}

func (u *starter) start(ctx context.Context, nodes int) error {
	if err := u.choose(nodes); err != nil {
		return err
	}
	var err error
	u.cluster.Plan = u.Plan
	if u.cluster.Secrets, err = cluster.NewSecrets(); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"the control plane's machine runs", u.controlPlane},
		{"the API is ready at " + u.Plan.Server(), u.apiReady},
		{fmt.Sprintf("%d nodes run", nodes), u.startNodes},
		{"all nodes are ready", u.nodesReady},
		{"pods can be made", u.podsCanBeMade},
		{"the host reaches Services", u.servicesReached},
	} {
		if err := step.do(ctx); err != nil {
			return err
		}
		u.say("%s", step.what)
	}
	return nil
}

// choose finds a network that nothing else uses. The host's interface in it is the claim: there can be one of a name only.
func (u *starter) choose(nodes int) error {
	taken, err := routes()
	if err != nil {
		return err
	}
	u.Plan, err = cluster.Choose(nodes, taken, func(plan cluster.Plan) (bool, error) {
		u.Plan = plan
		attrs := netlink.NewLinkAttrs()
		attrs.Name = plan.Name()
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: plan.Name() + "p"})
		if errors.Is(err, unix.EEXIST) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		u.Claimed = true
		return true, u.save()
	})
	return err
}

// routes are all networks that the host knows a way to.
func routes() ([]netip.Prefix, error) {
	list, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	var found []netip.Prefix
	for _, route := range list {
		if route.Dst == nil {
			continue
		}
		if address, ok := netip.AddrFromSlice(route.Dst.IP.To4()); ok {
			bits, _ := route.Dst.Mask.Size()
			found = append(found, netip.PrefixFrom(address, bits))
		}
	}
	return found, nil
}

func (u *starter) controlPlane(context.Context) error {
	spec, err := u.cluster.ControlPlane()
	if err != nil {
		return err
	}
	admin, err := u.cluster.Kubeconfig("kubernetes-admin", "system:masters")
	if err != nil {
		return err
	}
	if err := machine.WriteFile(u.Kubeconfig(), []byte(admin)); err != nil {
		return err
	}
	if u.client, err = newClient(u.cluster); err != nil {
		return err
	}
	if err := u.prepare(spec); err != nil {
		return err
	}
	if err := u.boot(cluster.ControlPlaneName, u.plugHost); err != nil {
		return err
	}
	return joinHost(u.Plan)
}

func (u *starter) apiReady(ctx context.Context) error {
	return u.await(ctx, "the API server is not ready", u.client.ready, cluster.ControlPlaneName, "kube-apiserver", "etcd", "machine")
}

func (u *starter) startNodes(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range u.Nodes() {
		spec, err := u.cluster.Node(i)
		if err != nil {
			return err
		}
		if err := u.prepare(spec); err != nil {
			return err
		}
		if err := u.boot(name, u.plugNode); err != nil {
			return err
		}
		group.Go(func() error {
			return u.await(ctx, name+" does not take images", func(ctx context.Context) error { return u.importInto(ctx, name, u.archives) },
				name, "containerd", "machine")
		})
	}
	return group.Wait()
}

func (u *starter) nodesReady(ctx context.Context) error {
	for _, name := range u.Nodes() {
		err := u.await(ctx, name+" is not ready", func(ctx context.Context) error { return u.client.nodeReady(ctx, name) }, name, "kubelet", "containerd", "machine")
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *starter) podsCanBeMade(ctx context.Context) error {
	return u.await(ctx, "namespace default has no service account", func(ctx context.Context) error {
		return u.client.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	}, cluster.ControlPlaneName, "kube-controller-manager")
}

func (u *starter) servicesReached(ctx context.Context) error {
	return u.await(ctx, "the host does not reach the Service kubernetes.default", func(ctx context.Context) error {
		return dial(ctx, netip.AddrPortFrom(u.Plan.APIService(), 443).String())
	}, cluster.ControlPlaneName, "kube-proxy")
}

// await asks again and again until there is no error. Where it waits in vain, the error ends with what the services of
// the machine said last.
func (u *starter) await(ctx context.Context, what string, ask func(context.Context) error, name string, services ...string) error {
	caller := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, 2*patience, errors.New("waited two minutes"))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if caller.Err() == nil && !u.Running(name) {
			return fmt.Errorf("%s: machine %s has ended%s", what, name, u.lastWords(name, services))
		}
		select {
		case <-caller.Done():
			return fmt.Errorf("%s yet: %w", what, context.Cause(caller)) // which nothing in a log explains
		case <-ctx.Done():
			return fmt.Errorf("%s: %w%s", what, errors.Join(context.Cause(ctx), err), u.lastWords(name, services))
		case <-tick.C:
		}
	}
}
