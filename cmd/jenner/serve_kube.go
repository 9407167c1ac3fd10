package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// kubeFlags say how Jenner lives in a Kubernetes cluster.
type kubeFlags struct {
	on          bool
	place       cluster.Place
	watch       []string
	discover    []string
	lease       string
	leaseLasts  time.Duration
	keepObjects int
}

func (k *kubeFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&k.on, "kube", false, "take documents from custom resources of a Kubernetes cluster, and show incidents there")
	k.connection(cmd)
	flags.StringVar(&k.lease, "lease", "jenner", "the Lease whose holder acts, in Jenner's namespace; none where empty, and then there must be one Jenner only")
	flags.DurationVar(&k.leaseLasts, "lease-lasts", cluster.DefaultLease, "how long the others wait after the last renewal before one of them takes over")
	flags.IntVar(&k.keepObjects, "keep-incidents", 100, "how many ended incidents are kept as objects")
}

// connection adds the flags that say how the cluster is reached, and whose custom resources count.
func (k *kubeFlags) connection(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&k.place.Kubeconfig, "kubeconfig", "", "how the cluster is reached; KUBECONFIG, ~/.kube/config or the pod's service account where not said")
	flags.StringVar(&k.place.Context, "kube-context", "", "the context of the kubeconfig; its current one where not said")
	flags.StringVar(&k.place.Namespace, "namespace", "", "Jenner's own namespace; that of the context or of the pod where not said")
	flags.StringSliceVar(&k.watch, "watch", nil, "the namespaces whose custom resources are taken; Jenner's own where not said")
	flags.StringSliceVar(&k.discover, "discover", nil, "the namespaces in which services are found by the labels of workloads; none where not said")
}

// serve leads whenever it has the lease, and stands by until then.
func (k *kubeFlags) serve(ctx context.Context, opts app.Options, out io.Writer) error {
	klog.SetSlogLogger(slog.New(quieter{opts.Logger.Handler()}))
	conn, err := cluster.Connect(k.place)
	if err != nil {
		return err
	}
	tally := cluster.NewTally()
	registry := prometheus.NewRegistry()
	registry.MustRegister(tally)
	front, err := openFront(opts.Listen, registry)
	if err != nil {
		return err
	}
	defer front.close()
	opts.Listen = ""
	lead := func(ctx context.Context, lease *cluster.Lease) error {
		return k.lead(ctx, conn, lease, opts, tally, front, out)
	}
	if k.lease == "" {
		return lead(ctx, nil)
	}
	lease := cluster.LeaseOptions{Name: k.lease, Identity: cluster.Identity(), Duration: k.leaseLasts, Logger: opts.Logger, Tally: tally}
	fmt.Fprintf(out, "%s standing for the lease %s/%s as %s\n", time.Now().Format(time.TimeOnly), conn.Namespace, k.lease, lease.Identity)
	return conn.Lead(ctx, lease, lead)
}

// lead is the life of the one that acts.
func (k *kubeFlags) lead(ctx context.Context, conn *cluster.Connection, lease *cluster.Lease, opts app.Options, tally *cluster.Tally,
	front *front, out io.Writer) error {
	watched, err := patiently(ctx, opts.Logger, func() (*cluster.Watched, error) {
		return conn.Watch(ctx, k.watching(opts.Logger))
	})
	if err != nil {
		return err
	}
	var a *app.App
	show := conn.Show(cluster.ShowOptions{Watched: watched, Docs: func() *jenner.Documents { return a.Docs() }, Logger: opts.Logger,
		Keep: k.keepObjects, Record: func(ctx context.Context, id string) (jenner.Record, error) {
			return a.Store.Load(ctx, loop.IncidentLine, id)
		}}, tally)
	heard := opts.OnChange
	opts.OnChange = func(change jenner.Change) { heard(change); show.Committed(change) }
	opts.Objects, opts.OnObjects = watched.Objects, show.Tell
	if len(k.discover) > 0 {
		found := k.discovered(opts.Logger)
		go found.Run(ctx, watched.Nudge)
		opts.Objects = func() []config.Object { return slices.Concat(watched.Objects(), found.Objects()) }
	}
	if lease != nil {
		opts.Fence = lease.Fenced
	}
	if a, err = patiently(ctx, opts.Logger, func() (*app.App, error) { return app.New(opts) }); err != nil {
		return err
	}
	open, err := a.Store.List(ctx, loop.IncidentLine, sqlite.ListFilter{OpenOnly: true})
	if err != nil {
		return errors.Join(err, a.Stop())
	}
	showing, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() { defer close(ended); show.Run(showing, open) }()
	defer func() { stop(); <-ended }()
	a.Address = front.address()
	front.lead(a)
	defer front.standBy()
	return serve(ctx, a, watched.Changed(), out)
}

// tryEvery is how long is waited before something is tried again that may pass by itself.
const tryEvery = time.Second

// patiently tries what may pass by itself until it does: an API server that is away, a data directory that the Jenner before
// this one has not left yet.
func patiently[T any](ctx context.Context, logger *slog.Logger, try func() (T, error)) (T, error) {
	said := ""
	for {
		value, err := try()
		if err == nil || jenner.NextAfter(err) != jenner.TryAgain && !errors.Is(err, jenner.ErrInUse) || ctx.Err() != nil {
			return value, err
		}
		if err.Error() != said {
			said = err.Error()
			logger.Warn("waiting until it passes", "for", said)
		}
		select {
		case <-ctx.Done():
			return value, err
		case <-time.After(tryEvery):
		}
	}
}

// watching says which custom resources are taken.
func (k *kubeFlags) watching(logger *slog.Logger) cluster.WatchOptions {
	return cluster.WatchOptions{Namespaces: k.watch, Logger: logger, Namespaced: func(kind string) bool {
		entry, err := providers.TargetKind(kind)
		return err == nil && strict.Has(entry.New(), "namespace")
	}}
}

// quieter lets through what the Kubernetes libraries call important only.
type quieter struct{ slog.Handler }

// Enabled is part of slog.Handler.
func (q quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// discovered are the services that the labels of workloads tell of.
func (k *kubeFlags) discovered(logger *slog.Logger) *cluster.Discovered {
	return cluster.Discover(discoverServices, k.place, k.discover, logger)
}
