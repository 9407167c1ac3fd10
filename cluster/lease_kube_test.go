//go:build kube

package cluster

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reign is one Jenner that stands for the lease.
type reign struct {
	began, lost, ended chan struct{} // closed
	lease              *Lease
	err                error
	stop               context.CancelFunc
	finish             chan struct{} // lead returns after the lease was lost when this is closed
}

// stand lets a Jenner stand for the lease with a connection.
func (y *yard) stand(conn *Connection, identity string) *reign {
	y.t.Helper()
	ctx, stop := context.WithCancel(y.t.Context())
	r := &reign{began: make(chan struct{}), lost: make(chan struct{}), ended: make(chan struct{}), finish: make(chan struct{}), stop: stop}
	go func() {
		defer close(r.ended)
		r.err = conn.Lead(ctx, LeaseOptions{Name: "lead", Identity: identity, Duration: 4 * time.Second, Logger: quietLog(), Tally: NewTally()},
			func(ctx context.Context, lease *Lease) error {
				r.lease = lease
				close(r.began)
				<-ctx.Done()
				if errors.Is(context.Cause(ctx), ErrLeaseLost) {
					close(r.lost)
					<-r.finish
				}
				return nil
			})
	}()
	y.t.Cleanup(func() { stop(); <-r.ended })
	return r
}

func done(of chan struct{}) bool {
	select {
	case <-of:
		return true
	default:
		return false
	}
}

// cuttable is a connection that can be cut.
type cuttable struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (c *cuttable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return nil, errors.New("the cable is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cuttable) cutIt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// TestOneLeads: the second waits until the first has ended, and then leads at once.
func TestOneLeads(t *testing.T) {
	y := newYard(t)
	first := y.stand(y.Connection, "first")
	y.until("the first leads", func() bool { return done(first.began) })
	second := y.stand(y.Connection, "second")
	y.until("the second stands by and the first renews", func() bool {
		lease, err := y.CoordinationV1().Leases(y.Namespace).Get(t.Context(), "lead", metav1.GetOptions{})
		return err == nil && lease.Spec.RenewTime.After(lease.Spec.AcquireTime.Add(2*time.Second)) && *lease.Spec.HolderIdentity == "first"
	})
	if done(second.began) || first.lease.Fenced() != nil {
		t.Fatalf("the second leads: %v; the first is fenced: %v", done(second.began), first.lease.Fenced())
	}
	first.stop()
	y.until("the first has ended", func() bool { return done(first.ended) })
	if first.err != nil || first.lease.Fenced() == nil {
		t.Errorf("the first ended with %v, and afterwards is fenced: %v", first.err, first.lease.Fenced())
	}
	y.until("the second leads", func() bool { return done(second.began) })
}

// TestALeaderThatIsCutOffStopsBeforeTheNextOneBegins: it cannot tell whether somebody else has the lease, and so does nothing
// from before the moment on at which somebody else could.
func TestALeaderThatIsCutOffStopsBeforeTheNextOneBegins(t *testing.T) {
	y := newYard(t)
	cable := &cuttable{}
	config := *y.Config
	config.Dial = cable.dial
	conn, err := newConnection(&config, y.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	first := y.stand(conn, "first")
	y.until("the first leads", func() bool { return done(first.began) })
	second := y.stand(y.Connection, "second")
	cable.cutIt()
	y.until("the first is fenced", func() bool { return first.lease.Fenced() != nil })
	if done(second.began) {
		t.Error("the second led before the first was fenced")
	}
	y.until("the second leads", func() bool { return done(second.began) })
	y.until("the first is told to stop", func() bool { return done(first.lost) })
	if done(first.ended) {
		t.Error("the first did not wait for what is under way")
	}
	close(first.finish)
	y.until("the first has ended", func() bool { return done(first.ended) })
	if !errors.Is(first.err, ErrLeaseLost) || first.lease.Fenced() == nil {
		t.Errorf("the first ended with %v, and is fenced: %v", first.err, first.lease.Fenced())
	}
	lease, err := y.CoordinationV1().Leases(y.Namespace).Get(t.Context(), "lead", metav1.GetOptions{})
	if err != nil || *lease.Spec.HolderIdentity != "second" || second.lease.Fenced() != nil {
		t.Errorf("in the end the lease is %+v (%v), and the second is fenced: %v", lease.Spec, err, second.lease.Fenced())
	}
}

// TestALeaseThatCannotBe is refused before anything is asked.
func TestALeaseThatCannotBe(t *testing.T) {
	y := newYard(t)
	for want, opts := range map[string]LeaseOptions{"no lease can be called": {Name: "a b", Duration: DefaultLease},
		"cannot last 2s": {Name: "a", Duration: 2 * time.Second}, "cannot last 3.5s": {Name: "a", Duration: 3500 * time.Millisecond}} {
		if err := y.Lead(t.Context(), opts, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v is answered with %v", opts, err)
		}
	}
}
