package lab

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func made(t *testing.T) *Namespace {
	t.Helper()
	n, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func TestNamespacesReachEachOtherAndNobodyElse(t *testing.T) {
	one, other := made(t), made(t)
	if err := Link(one, other, "wire0", "10.99.0.0/24", "fd99::/64"); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"10.99.0.2:80", "[fd99::2]:80"} {
		var listener net.Listener
		if err := other.Do(func() (err error) {
			listener, err = net.Listen("tcp", address)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		connect := func() error {
			conn, err := net.DialTimeout("tcp", address, 10*time.Second)
			if err == nil {
				err = conn.Close()
			}
			return err
		}
		if err := one.Do(connect); err != nil {
			t.Errorf("from the other namespace: %v", err)
		}
		if err := made(t).Do(connect); !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("from a namespace without a link: %v", err)
		}
	}
}

// Nothing of a namespace is left when it is closed, and no thread of this process stays in it.
func TestANamespaceIsGoneWhenItIsClosed(t *testing.T) {
	before, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	n, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	path := n.Path()
	inside, err := os.Stat(path)
	if err != nil || os.SameFile(before, inside) {
		t.Fatalf("it is this process's own namespace: %v", err)
	}
	if err := n.Do(func() error { return errors.New("what work says") }); err == nil || err.Error() != "what work says" {
		t.Errorf("Do says %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		now, err := os.Stat("/proc/self/task/" + thread.Name() + "/ns/net")
		if err == nil && os.SameFile(now, inside) && !ending(thread.Name()) {
			t.Errorf("thread %s is still in the namespace", thread.Name())
		}
	}
}

// ending tells whether a thread ends within a while; it may be about to.
func ending(thread string) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		if _, err := os.Stat("/proc/self/task/" + thread); errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false
}
