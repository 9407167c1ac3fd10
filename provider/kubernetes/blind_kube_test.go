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

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/jenner-heal/jenner"
)

// kubeconfig writes one that reaches the API server at another address, or as a service account with these rights.
func (p *post) kubeconfig(server string, may []rbacv1.PolicyRule) string {
	p.t.Helper()
	config := p.config
	cluster := &api.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile}
	user := &api.AuthInfo{ClientCertificate: config.CertFile, ClientCertificateData: config.CertData, ClientKey: config.KeyFile, ClientKeyData: config.KeyData}
	if server != "" {
		address, err := url.Parse(config.Host)
		if err != nil {
			p.t.Fatal(err)
		}
		cluster.Server, cluster.TLSServerName = "https://"+server, address.Hostname()
	}
	if may != nil {
		user = &api.AuthInfo{Token: p.token(may)}
	}
	file := filepath.Join(p.t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(api.Config{CurrentContext: "it", Clusters: map[string]*api.Cluster{"it": cluster}, AuthInfos: map[string]*api.AuthInfo{"it": user},
		Contexts: map[string]*api.Context{"it": {Cluster: "it", AuthInfo: "it", Namespace: p.ns}}}, file)
	if err != nil {
		p.t.Fatal(err)
	}
	return file
}

// token is that of a service account that may do this and no more, in the namespace of the test.
func (p *post) token(may []rbacv1.PolicyRule) string {
	p.t.Helper()
	const name = "watcher"
	ctx := p.t.Context()
	_, err := p.CoreV1().ServiceAccounts(p.ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err == nil {
		_, err = p.RbacV1().Roles(p.ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: may}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = p.RbacV1().RoleBindings(p.ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: p.ns}}}, metav1.CreateOptions{})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	request, err := p.CoreV1().ServiceAccounts(p.ns).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return request.Status.Token
}

// TestMissingRightsAreTold by verb and resource, and what may be seen is seen.
func TestMissingRightsAreTold(t *testing.T) {
	p := newPost(t)
	file := p.kubeconfig("", []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}}})
	crash := p.service("deployment", "crash", "kubeconfig", file)
	p.apply("people", appOf("crash", 1, "crash"))
	p.observe(&ObserverPods{}, crash)
	p.until("the crash loop is told", func() bool { return p.holds("CrashLoopBackOff", "pod/crash-") && p.isSynced(crash) })
	p.until("it is told that events and nodes may not be seen", func() bool {
		return p.isBlind(`cannot list resource "events"`) && p.isBlind(`cannot list resource "nodes"`)
	})
	p.until("it is said that it still holds", func() bool { p.notebook.mu.Lock(); defer p.notebook.mu.Unlock(); return len(p.seen) > 1 })

	other := &post{cluster: p.cluster, notebook: &notebook{}, t: t, ns: p.ns}
	other.observe(&ObserverRollouts{}, crash)
	other.until("it is told that deployments may not be seen", func() bool { return other.isBlind(`cannot list resource "deployments"`) })
	if other.isSynced(crash) || len(other.seen) > 0 {
		t.Errorf("of what may not be seen it is said that all was told:\n%s", other.notebook)
	}
}

// TestExactRightsAreEnough: with the rights that an observer asks for, and no other, it is blind to nothing.
func TestExactRightsAreEnough(t *testing.T) {
	p := newPost(t)
	var may []rbacv1.PolicyRule
	target := p.service("deployment", "web").Targets[0]
	rights, err := (&ObserverChanges{}).Rights(jenner.Service{}, target)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range rights {
		may = append(may, rbacv1.PolicyRule{APIGroups: []string{one.Group}, Resources: []string{one.Resource}, Verbs: []string{one.Verb}})
	}
	service := p.service("deployment", "web", "kubeconfig", p.kubeconfig("", may))
	p.apply("people", appOf("web", 0, "v1"))
	p.observe(&ObserverChanges{}, service)
	p.until("it is synced", func() bool { return p.isSynced(service) })
	if p.isBlind("") {
		t.Errorf("with %v it is blind: %s", rights, p.notebook)
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
	p := newPost(t)
	address, err := url.Parse(p.config.Host)
	if err != nil {
		t.Fatal(err)
	}
	way := newStrait(t, address.Host)
	crash := p.service("deployment", "crash", "kubeconfig", p.kubeconfig(way.Addr().String(), nil))
	p.apply("people", appOf("crash", 1, "crash"))
	p.observe(&ObserverPods{}, crash)
	p.until("the crash loop is told", func() bool { return p.holds("CrashLoopBackOff", "pod/crash-") && p.isSynced(crash) })
	way.block(true)
	p.apply("people", appOf("crash", 0, "crash"))
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
