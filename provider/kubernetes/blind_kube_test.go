//go:build kube

package kubernetes

import (
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/jenner-heal/jenner"
)

// through is a kubeconfig that reaches the API server at another address.
func (p *post) through(server string) string {
	p.t.Helper()
	config := p.config
	address, err := url.Parse(config.Host)
	if err != nil {
		p.t.Fatal(err)
	}
	cluster := &api.Cluster{Server: "https://" + server, TLSServerName: address.Hostname(),
		CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile}
	user := &api.AuthInfo{ClientCertificate: config.CertFile, ClientCertificateData: config.CertData, ClientKey: config.KeyFile, ClientKeyData: config.KeyData}
	file := filepath.Join(p.t.TempDir(), "kubeconfig")
	err = clientcmd.WriteToFile(api.Config{CurrentContext: "it", Clusters: map[string]*api.Cluster{"it": cluster}, AuthInfos: map[string]*api.AuthInfo{"it": user},
		Contexts: map[string]*api.Context{"it": {Cluster: "it", AuthInfo: "it", Namespace: p.ns}}}, file)
	if err != nil {
		p.t.Fatal(err)
	}
	return file
}

// TestMissingRightsAreTold by verb and resource, and what may be seen is seen.
func TestMissingRightsAreTold(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	crash := p.service("deployment", "crash")
	crash.Targets[0] = p.by(crash.Targets[0], []jenner.Right{{Verb: "list", Resource: "pods"}, {Verb: "watch", Resource: "pods"}})
	p.as("people", appOf("crash", 1, "crash"))
	p.observe(&ObserverPods{}, crash)
	p.until("the crash loop is told", func() bool { return p.holds("CrashLoopBackOff", "pod/crash-") && p.isSynced(crash) })
	p.until("it is told that events and nodes may not be seen", func() bool {
		return p.isBlind(`cannot list resource "events"`) && p.isBlind(`cannot list resource "nodes"`)
	})
	p.until("it is said that it still holds", func() bool { p.notebook.mu.Lock(); defer p.notebook.mu.Unlock(); return len(p.seen) > 1 })

	other := p.of(t)
	other.observe(&ObserverRollouts{}, crash)
	other.until("it is told that deployments may not be seen", func() bool { return other.isBlind(`cannot list resource "deployments"`) })
	if other.isSynced(crash) || len(other.seen) > 0 {
		t.Errorf("of what may not be seen it is said that all was told:\n%s", other.notebook)
	}
}

// TestExactRightsAreEnough: with the rights that an observer asks for, and no other, it is blind to nothing.
func TestExactRightsAreEnough(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	service := p.with(p.service("deployment", "web"), &ObserverChanges{})
	p.as("people", appOf("web", 0, "v1"))
	p.observe(&ObserverChanges{}, service)
	p.until("it is synced", func() bool { return p.isSynced(service) })
	if p.isBlind("") {
		t.Errorf("it is blind: %s", p.notebook)
	}
}

// strait is the only way to the API server. It can be blocked: then nothing passes any more, and no connection is closed.
type strait struct {
	net.Listener
	to string

	mu      sync.Mutex
	open    *sync.Cond
	blocked bool
}

func newStrait(t *testing.T, to string) *strait {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &strait{Listener: listener, to: to}
	s.open = sync.NewCond(&s.mu)
	t.Cleanup(func() { s.block(false); _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go s.pass(near, far)
			go s.pass(far, near)
		}
	}()
	return s
}

func (s *strait) pass(to io.WriteCloser, from io.ReadCloser) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		s.mu.Lock()
		for s.blocked {
			s.open.Wait()
		}
		s.mu.Unlock()
		if _, bad := to.Write(buffer[:n]); err != nil || bad != nil {
			return
		}
	}
}

func (s *strait) block(blocked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked = blocked
	s.open.Broadcast()
}

// TestPartitionedAPIServer: while the API server cannot be reached nothing is over and nothing is fresh, and afterwards what
// happened meanwhile is told.
func TestPartitionedAPIServer(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	address, err := url.Parse(p.config.Host)
	if err != nil {
		t.Fatal(err)
	}
	way := newStrait(t, address.Host)
	crash := p.service("deployment", "crash", "kubeconfig", p.through(way.Addr().String()))
	p.as("people", appOf("crash", 1, "crash"))
	p.observe(&ObserverPods{}, crash)
	p.until("the crash loop is told", func() bool { return p.holds("CrashLoopBackOff", "pod/crash-") && p.isSynced(crash) })
	way.block(true)
	p.as("people", appOf("crash", 0, "crash"))
	p.until("it is told that the API server does not answer", func() bool { return p.isBlind("the API server does not answer") })
	seen, told := p.looks()
	blindFor := time.Now().Add(2 * seenEvery)
	p.until("a while has passed", func() bool { return time.Now().After(blindFor) })
	if more, also := p.looks(); more != seen || also != told || !p.holds("CrashLoopBackOff", "pod/crash-") {
		t.Errorf("while nothing could be seen, %d looks became %d and %d words %d:\n%s", seen, more, told, also, p.notebook)
	}
	way.block(false)
	p.until("what happened meanwhile is told", func() bool { return !p.holds("CrashLoopBackOff", "pod/crash-") })
	p.until("all is seen again", func() bool { more, _ := p.looks(); return more > seen && !p.isBlind("") })
}

// looks are how often it was said that all still holds, and how many words were told.
func (n *notebook) looks() (seen, told int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.seen), len(n.course)
}
