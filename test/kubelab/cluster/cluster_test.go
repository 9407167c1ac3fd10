package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

func TestChooseTakesTheFirstFreeNetwork(t *testing.T) {
	taken := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), // the default route is in nobody's way
		netip.MustParsePrefix("10.96.3.0/24"), netip.MustParsePrefix("10.98.0.0/15"),
	}
	var asked []byte
	plan, err := Choose(2, taken, func(p Plan) (bool, error) {
		asked = append(asked, p.Octet)
		return p.Octet == 101, nil
	})
	if err != nil || plan != (Plan{Octet: 101, Nodes: 2}) || !slices.Equal(asked, []byte{97, 100, 101}) {
		t.Errorf("%+v after %v, %v", plan, asked, err)
	}
	no := func(Plan) (bool, error) { return false, nil }
	if _, err := Choose(2, nil, no); err == nil || !strings.Contains(err.Error(), "stop one") {
		t.Errorf("where all are taken: %v", err)
	}
	want := errors.New("broken")
	if _, err := Choose(2, nil, func(Plan) (bool, error) { return false, want }); !errors.Is(err, want) {
		t.Errorf("where claiming fails: %v", err)
	}
	for _, nodes := range []int{0, MaxNodes + 1} {
		if _, err := Choose(nodes, nil, no); err == nil || !strings.Contains(err.Error(), "1 to 16") {
			t.Errorf("%d nodes: %v", nodes, err)
		}
	}
}

// TestNothingOverlaps: what is routed to different places never has the same address, with as many nodes as there can be.
func TestNothingOverlaps(t *testing.T) {
	plan := Plan{Octet: LastOctet, Nodes: MaxNodes}
	parts := []netip.Prefix{plan.ControlPlane().Masked(), plan.Services()}
	machines := map[netip.Addr]bool{plan.ControlPlane().Addr(): true, plan.Host().Addr(): true}
	for i := range plan.Nodes {
		parts = append(parts, plan.NodePods(i))
		if !plan.Pods().Contains(plan.NodePods(i).Addr()) || !plan.ControlPlane().Contains(plan.Node(i).Addr()) {
			t.Errorf("node %d is outside", i)
		}
		machines[plan.Node(i).Addr()] = true
	}
	if len(machines) != plan.Nodes+2 {
		t.Errorf("%d machines have %d addresses", plan.Nodes+2, len(machines))
	}
	for i, one := range parts {
		if !plan.Network().Overlaps(one) || one.Bits() < plan.Network().Bits() {
			t.Errorf("%v is not within %v", one, plan.Network())
		}
		for _, other := range parts[:i] {
			if one.Overlaps(other) {
				t.Errorf("%v overlaps %v", one, other)
			}
		}
	}
	if !plan.Services().Contains(plan.APIService()) || plan.Pods().Overlaps(plan.Services()) {
		t.Error("the API's Service is none, or Services are pods")
	}
}

func newCluster(t *testing.T) Cluster {
	t.Helper()
	secrets, err := NewSecrets()
	if err != nil {
		t.Fatal(err)
	}
	return Cluster{Plan: Plan{Octet: 96, Nodes: 2}, Secrets: secrets, Snapshotter: "overlayfs", Agent: "netagent-1"}
}

func TestAKubeconfigIsOne(t *testing.T) {
	c := newCluster(t)
	text, err := c.Kubeconfig("kubernetes-admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://10.96.0.1:6443" || pair.Leaf.Subject.String() != "CN=kubernetes-admin,O=system:masters" {
		t.Errorf("%s as %s", config.Host, pair.Leaf.Subject)
	}
	if string(config.CAData) != c.Authority.Certificate {
		t.Error("the authority is another one")
	}
}

// TestEveryFileIsThere: what a command line or a configuration names below /etc is among the machine's files.
func TestEveryFileIsThere(t *testing.T) {
	c := newCluster(t)
	control, err := c.ControlPlane()
	if err != nil {
		t.Fatal(err)
	}
	node, err := c.Node(1)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, spec := range []machine.Spec{control, node} {
		text := spec.Files[config+"kubelet.yaml"]
		for _, service := range spec.Services {
			text += "\n" + strings.Join(service.Args, "\n")
			for _, arg := range service.Args {
				if strings.Contains(arg, "%!") {
					t.Errorf("%s: %s", service.Name, arg)
				}
			}
		}
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" =,\n{}", r) }) {
			if strings.HasPrefix(word, "/etc/") && word != "/etc/resolv.conf" {
				named++
				if spec.Files[word] == "" {
					t.Errorf("%s: %s is named and not there", spec.Name, word)
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d files were found, so that this proves nothing", named)
	}
}

func TestANode(t *testing.T) {
	c := newCluster(t)
	node, err := c.Node(1)
	if err != nil {
		t.Fatal(err)
	}
	if node.Name != "node2" || node.Net.Address.String() != "10.96.0.11/24" || node.Group != "kubelab96/node2" {
		t.Errorf("%s, %s, %s", node.Name, node.Net.Address, node.Group)
	}
	if len(node.Net.Routes) != 1 || node.Net.Routes["10.96.64.0/24"] != c.Plan.Node(0).Addr() {
		t.Errorf("the way to the other node's pods: %v", node.Net.Routes)
	}
	pair, err := tls.X509KeyPair([]byte(node.Files[config+"node.crt"]), []byte(node.Files[config+"node.key"]))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(c.Authority.Certificate))
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "10.96.0.11"}); err != nil || pair.Leaf.Subject.String() != "CN=system:node:node2,O=system:nodes" {
		t.Errorf("%s, %v", pair.Leaf.Subject, err)
	}
	var kubelet struct{ CgroupRoot, ClusterDomain string }
	if err := yaml.Unmarshal([]byte(node.Files[config+"kubelet.yaml"]), &kubelet); err != nil || kubelet.CgroupRoot != "/kubelab96/node2" {
		t.Errorf("%+v, %v", kubelet, err)
	}
	var network struct {
		Plugins []struct {
			IPAM struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	if err := json.Unmarshal([]byte(node.Files["/etc/cni/net.d/10-lab.conflist"]), &network); err != nil || network.Plugins[0].IPAM.Ranges[0][0].Subnet != "10.96.65.0/24" {
		t.Errorf("%+v, %v", network, err)
	}
}
