package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/jenner-heal/jenner"
)

// LeaseOptions say for which lease a Jenner stands, and how long it lasts.
type LeaseOptions struct {
	Name     string // of the Lease, in the connection's namespace
	Identity string // who stands; unique among all
	// Duration is how long the others wait after the last renewal before they take over: whole seconds, 3 at least. This one
	// stops acting after two thirds of it.
	Duration time.Duration
	Logger   *slog.Logger
	Tally    *Tally
}

// DefaultLease is the duration of a lease where nobody says another one.
const DefaultLease = 15 * time.Second

// Validate says what is wrong with the options.
func (o LeaseOptions) Validate() error {
	if said := validation.NameIsDNSSubdomain(o.Name, false); len(said) > 0 {
		return fmt.Errorf("no lease can be called %q: %s", o.Name, said[0])
	}
	if o.Duration < 3*time.Second || o.Duration%time.Second != 0 {
		return fmt.Errorf("a lease cannot last %s; it lasts whole seconds, 3 at least", o.Duration)
	}
	return nil
}

// ErrLeaseLost is why Lead ended: the lease could not be renewed in time, or is somebody else's.
var ErrLeaseLost = errors.New("the lease is lost: somebody else may act now")

// Lease is what a leader holds. It is safe for concurrent use.
type Lease struct {
	name  string
	valid time.Duration // after the beginning of a renewal
	stop  func()

	mu    sync.Mutex
	until time.Time // by both clocks: that of the machine goes on while it sleeps, the monotonic one is not set back
	lost  bool
}

// Lead stands for the lease until it is had, and then calls lead. Its ctx ends, with cause ErrLeaseLost, as soon as the lease
// is lost, and when the outer ctx ends. Lead returns when lead has; only then is the lease given back, so that the next one
// begins when this one has ended. A process that lost the lease must end itself: what it knew may be out of date.
func (c *Connection) Lead(ctx context.Context, opts LeaseOptions, lead func(ctx context.Context, lease *Lease) error) error {
	if err := opts.Validate(); err != nil {
		return jenner.Permanent(err, "")
	}
	leading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	lease := &Lease{name: opts.Name, valid: opts.Duration * 2 / 3, stop: func() { stop(ErrLeaseLost) }}
	lock, err := c.lockOf(opts, lease)
	if err != nil {
		return err
	}
	// The election goes on until lead has returned, whatever ends first: while something is under way here, nobody else may
	// begin.
	standing, stand := context.WithCancel(context.WithoutCancel(ctx))
	defer stand()
	began, ended := make(chan struct{}), make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: opts.Name, LeaseDuration: opts.Duration, RenewDeadline: lease.valid, RetryPeriod: opts.Duration / 8,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(began) },
			OnStoppedLeading: func() {
				if standing.Err() == nil {
					lease.lose()
				}
			},
			OnNewLeader: func(identity string) {
				if identity != "" && identity != opts.Identity {
					opts.Logger.Info("another Jenner leads; this one stands by", "leader", identity)
				}
			},
		}})
	if err != nil {
		return jenner.Permanent(fmt.Errorf("nobody can stand for the lease %s: %w", opts.Name, err), "")
	}
	go func() {
		defer stand()
		select {
		case <-began:
			opts.Tally.leading.Store(true)
			ended <- lead(leading, lease)
			opts.Tally.leading.Store(false)
		case <-leading.Done():
			ended <- nil
		}
	}()
	elector.Run(standing)
	err = <-ended
	if lease.isLost() {
		return jenner.Retryable(errors.Join(ErrLeaseLost, err), "start Jenner again, and it stands by")
	}
	return errors.Join(err, lock.giveBack(context.WithoutCancel(ctx)))
}

// lockOf makes the lock at the API server. Its connection is its own, so that nothing else that is asked holds a renewal up.
func (c *Connection) lockOf(opts LeaseOptions, lease *Lease) (*lock, error) {
	config := rest.CopyConfig(c.Config)
	config.Timeout = max(time.Second, lease.valid/2)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the cluster cannot be talked to: %w", err)
	}
	return &lock{&resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: opts.Name}, Client: client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: opts.Identity}}, lease}, nil
}

// giveBack lets the next one lead at once, after this one has ended well.
func (l *lock) giveBack(ctx context.Context) error {
	if l.lease.Fenced() != nil {
		return nil // it is not ours, or never was
	}
	l.lease.end()
	ctx, cancel := context.WithTimeout(ctx, l.lease.valid)
	defer cancel()
	record, _, err := l.LeaseLock.Get(ctx)
	if err == nil && record.HolderIdentity == l.Identity() {
		record.HolderIdentity, record.LeaseDurationSeconds, record.RenewTime = "", 1, metav1.Now()
		err = l.LeaseLock.Update(ctx, *record)
	}
	if err != nil {
		return fmt.Errorf("the lease %s was not given back and ends by itself: %w", l.lease.name, err)
	}
	return nil
}

// Fenced says why this process may not change anything at this moment: its lease is lost, or was not renewed in time, be it
// that the API server is away or that the process stood still. Nil: it leads.
func (l *Lease) Fenced() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case l.lost:
		return ErrLeaseLost
	case now.After(l.until), now.Round(0).After(l.until.Round(0)):
		return fmt.Errorf("the lease %s was last good at %s: somebody else may act now", l.name, l.until.Format(time.RFC3339Nano))
	}
	return nil
}

func (l *Lease) renewed(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = began.Add(l.valid)
}

// lose is for ever: a lease that is had again later is another one.
func (l *Lease) lose() {
	l.mu.Lock()
	l.lost = true
	l.mu.Unlock()
	l.stop()
}

func (l *Lease) isLost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// end is the end of a lease that is given back.
func (l *Lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// had tells whether the lease was ever ours.
func (l *Lease) had() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.until.IsZero()
}

// lock is the lease at the API server, as the election moves it.
type lock struct {
	*resourcelock.LeaseLock
	lease *Lease
}

// Get is part of resourcelock.Interface. A leader that finds another one in its place has lost, and need not try longer.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.LeaseLock.Get(ctx)
	if err == nil && l.lease.had() && record.HolderIdentity != l.Identity() {
		l.lease.lose()
	}
	return record, raw, err
}

// Create is part of resourcelock.Interface. The moment counts at which the renewal was begun: the others wait from then on, at
// the earliest.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := time.Now()
	err := l.LeaseLock.Create(ctx, record)
	if err == nil {
		l.lease.renewed(began)
	}
	return err
}

// Update is part of resourcelock.Interface, likewise.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := time.Now()
	err := l.LeaseLock.Update(ctx, record)
	if err == nil {
		l.lease.renewed(began)
	}
	return err
}
