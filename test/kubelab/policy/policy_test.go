package policy

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// pod is on node1 where its address ends with an odd number.
func pod(namespace, name, address string) *corev1.Pod {
	node := "node1"
	if strings.ContainsRune("02468", rune(address[len(address)-1])) {
		node = "node2"
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels.Set{"app": strings.TrimRight(name, "0123456789")}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: 8080}, {Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP}}}}},
		Status: corev1.PodStatus{PodIP: address, Phase: corev1.PodRunning}}
}

func world(t *testing.T, policies ...string) World {
	t.Helper()
	ended, host := pod("shop", "web9", "10.0.0.9"), pod("shop", "web7", "10.0.0.7")
	ended.Status.Phase = corev1.PodSucceeded
	host.Spec.HostNetwork = true
	w := World{Namespaces: map[string]labels.Set{"shop": {"team": "a"}, "other": {"team": "b"}},
		Pods: []*corev1.Pod{pod("shop", "web1", "10.0.0.1"), pod("shop", "web2", "10.0.0.2"), pod("shop", "client3", "10.0.0.3"),
			pod("other", "client5", "10.0.0.5"), pod("shop", "new4", "0"), ended, host}}
	w.Pods[4].Status.PodIP = ""
	for _, text := range policies {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}
		if err := yaml.UnmarshalStrict([]byte(text), &p.Spec); err != nil {
			t.Fatal(err)
		}
		w.Policies = append(w.Policies, p)
	}
	return w
}

var chain = regexp.MustCompile(`(?s)chain ((?:in|out)-\S+) \{[^\n]*\n(.*?)    counter drop\n`)

// TestRules: what stands in the chains of node1's pods, as `chain: rule; rule`, for the specs of policies.
func TestRules(t *testing.T) {
	for name, test := range map[string]struct {
		policies []string
		want     string
	}{
		"no policy": {nil, ""},
		"nobody":    {[]string{`podSelector: {matchLabels: {app: web}}`}, "in-10.0.0.1:"},
		"anybody":   {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{}]}`}, "in-10.0.0.1: return"},
		"nothing goes out": {[]string{`{podSelector: {}, policyTypes: [Egress]}`},
			"out-10.0.0.3: | out-10.0.0.1:"},
		"egress rules make it speak of egress": {[]string{`{podSelector: {matchLabels: {app: web}}, egress: [{ports: [{port: 53, protocol: UDP}]}]}`},
			"in-10.0.0.1: | out-10.0.0.1: udp dport 53 return"},
		"pods of the same namespace": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}`},
			"in-10.0.0.1: ip saddr { 10.0.0.3 } return"},
		"pods of a namespace": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: client}}}]}]}`},
			"in-10.0.0.1: ip saddr { 10.0.0.5 } return"},
		"pods of all namespaces": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}}]}]}`},
			"in-10.0.0.1: ip saddr { 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.5 } return"},
		"pods that there are not": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: none}}}]}]}`},
			"in-10.0.0.1:"},
		"a network without a part": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]}`},
			"in-10.0.0.1: ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 } tcp dport 80-90 return"},
		"a port by name, of the one who is asked": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}]}]}`},
			"in-10.0.0.1: tcp dport 8080 return"},
		"a port by name, of those who are asked": {[]string{`{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: dns, protocol: UDP}]}]}`},
			"out-10.0.0.3: ip daddr 10.0.0.1 udp dport 53 return; ip daddr 10.0.0.2 udp dport 53 return"},
		"a name of another protocol is another port": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: dns}]}]}`},
			"in-10.0.0.1:"},
		"a whole protocol": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{protocol: UDP}]}]}`},
			"in-10.0.0.1: meta l4proto udp return"},
		"two policies allow what either does": {[]string{`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 1}]}]}`, `{podSelector: {}, ingress: [{ports: [{port: 2}]}]}`},
			"in-10.0.0.3: tcp dport 2 return | in-10.0.0.1: tcp dport 1 return; tcp dport 2 return"},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := Rules("node1", world(t, test.policies...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, match := range chain.FindAllStringSubmatch(rules, -1) {
				lines := strings.Split(strings.TrimSpace(match[2]), "\n")
				for i := range lines {
					lines[i] = strings.TrimSpace(lines[i])
				}
				got = append(got, strings.TrimSpace(match[1]+": "+strings.Join(lines, "; ")))
				if field := map[bool]string{true: "daddr", false: "saddr"}[match[1][:2] == "in"]; !regexp.MustCompile(`ip ` + field + ` vmap \{[^}]*jump ` + match[1]).MatchString(rules) {
					t.Errorf("nothing leads to %s in\n%s", match[1], rules)
				}
			}
			if text := strings.Join(got, " | "); text != test.want {
				t.Errorf("the rules are\n%s\nand not\n%s", text, test.want)
			}
			valid(t, rules)
		})
	}
}

// valid asks the kernel whether it would take the rules.
func valid(t *testing.T, rules string) {
	t.Helper()
	nft, err := exec.LookPath("nft")
	if err != nil {
		nft = "/usr/sbin/nft"
	}
	cmd := exec.Command(nft, "--check", "--file", "-")
	cmd.Stdin = strings.NewReader(rules)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("nft: %v; it needs root, and apt-get install nftables: %s\n%s", err, said, rules)
	}
}

func TestASelectorThatIsNone(t *testing.T) {
	_, err := Rules("node1", world(t, `podSelector: {matchExpressions: [{key: a, operator: Like}]}`))
	if err == nil || !strings.Contains(err.Error(), "NetworkPolicy shop/p") {
		t.Errorf("%v", err)
	}
}
