// Package policy turns NetworkPolicies into rules for nftables, for the pods of one node.
//
// It is for the lab, whose pods' traffic is forwarded by their node. It is not for a cluster of thousands of pods: all
// rules are written anew at each change. Only the API's networking.k8s.io/v1 is known, and only IPv4.
//
// A packet passes where the policies of the pod that sends it and those of the pod that gets it let it pass. Only
// answers are free: a connection that no policy allows any more ends with its next packet, however old it is.
package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// World is what policies speak of.
type World struct {
	Policies   []*networkingv1.NetworkPolicy
	Pods       []*corev1.Pod
	Namespaces map[string]labels.Set // labels by name
}

// Table is the name of the table that has all rules.
const Table = "kubelab-policy"

// Rules is the input of `nft -f` that replaces all rules of the node by those of now. The same world gives the same text.
func Rules(node string, world World) (string, error) {
	var chains, ingress, egress strings.Builder
	for _, pod := range sorted(world.Pods) {
		address, ok := addressOf(pod)
		if !ok || pod.Spec.NodeName != node {
			continue
		}
		for _, way := range []direction{{networkingv1.PolicyTypeIngress, "in", "saddr"}, {networkingv1.PolicyTypeEgress, "out", "daddr"}} {
			rules, isolated, err := world.rulesOf(pod, way)
			if err != nil {
				return "", err
			}
			if !isolated {
				continue
			}
			chain := way.name + "-" + address.String()
			fmt.Fprintf(&chains, "  chain %s { # %s/%s\n", chain, pod.Namespace, pod.Name)
			for _, rule := range rules {
				fmt.Fprintf(&chains, "    %s return\n", rule)
			}
			chains.WriteString("    counter drop\n  }\n")
			jumps := &ingress
			if way.name == "out" {
				jumps = &egress
			}
			fmt.Fprintf(jumps, "%s : jump %s, ", address, chain)
		}
	}
	return fmt.Sprintf(`table ip %[1]s
delete table ip %[1]s
table ip %[1]s {
%[2]s  chain forward {
    type filter hook forward priority filter; policy accept;
    ct direction reply ct state established,related accept
%[3]s%[4]s  }
}
`, Table, chains.String(), jumps("saddr", egress.String()), jumps("daddr", ingress.String())), nil
}

// jumps is the rule that leads packets to the chain of their pod.
func jumps(field, to string) string {
	if to == "" {
		return ""
	}
	return fmt.Sprintf("    ip %s vmap { %s }\n", field, strings.TrimSuffix(to, ", "))
}

// direction is one of the two that a policy speaks of.
type direction struct {
	kind networkingv1.PolicyType
	name string
	peer string // the packet's field with the other one's address
}

func sorted(pods []*corev1.Pod) []*corev1.Pod {
	return slices.SortedFunc(slices.Values(pods), func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// addressOf is a pod's own address; a pod in its node's network has none, and one that has ended neither.
func addressOf(pod *corev1.Pod) (netip.Addr, bool) {
	if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return netip.Addr{}, false
	}
	address, err := netip.ParseAddr(pod.Status.PodIP)
	return address, err == nil && address.Is4()
}

// rulesOf are the conditions under each of which a packet passes. isolated is false where no policy speaks of the pod,
// so that everything passes.
func (w World) rulesOf(pod *corev1.Pod, way direction) (rules []string, isolated bool, err error) {
	for _, policy := range w.Policies {
		selects, err := matches(&policy.Spec.PodSelector, pod.Labels)
		if err != nil {
			return nil, false, fmt.Errorf("NetworkPolicy %s/%s: %w", policy.Namespace, policy.Name, err)
		}
		if !selects || policy.Namespace != pod.Namespace || !speaksOf(policy, way.kind) {
			continue
		}
		isolated = true
		for _, clause := range clauses(policy, way.kind) {
			more, err := w.clause(policy.Namespace, pod, clause, way)
			if err != nil {
				return nil, false, fmt.Errorf("NetworkPolicy %s/%s: %w", policy.Namespace, policy.Name, err)
			}
			rules = append(rules, more...)
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules), isolated, nil
}

func matches(selector *metav1.LabelSelector, set labels.Set) (bool, error) {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set), err
}

// speaksOf follows the API where the types are left out: of ingress always, of egress where there are rules for it.
func speaksOf(policy *networkingv1.NetworkPolicy, kind networkingv1.PolicyType) bool {
	if len(policy.Spec.PolicyTypes) == 0 {
		return kind == networkingv1.PolicyTypeIngress || len(policy.Spec.Egress) > 0
	}
	return slices.Contains(policy.Spec.PolicyTypes, kind)
}

// allowance is a rule of either direction.
type allowance struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func clauses(policy *networkingv1.NetworkPolicy, kind networkingv1.PolicyType) []allowance {
	var found []allowance
	if kind == networkingv1.PolicyTypeIngress {
		for _, rule := range policy.Spec.Ingress {
			found = append(found, allowance{rule.From, rule.Ports})
		}
		return found
	}
	for _, rule := range policy.Spec.Egress {
		found = append(found, allowance{rule.To, rule.Ports})
	}
	return found
}

// clause is each peer of a rule with each of its ports.
func (w World) clause(namespace string, pod *corev1.Pod, rule allowance, way direction) ([]string, error) {
	peers := []string{""} // anybody
	var pods []*corev1.Pod
	if len(rule.peers) > 0 {
		peers = nil
		for _, peer := range rule.peers {
			if peer.IPBlock != nil {
				peers = append(peers, block(peer.IPBlock, way.peer))
				continue
			}
			selected, err := w.selected(namespace, peer)
			if err != nil {
				return nil, err
			}
			pods = append(pods, selected...)
		}
		if list := addresses(pods); len(list) > 0 {
			peers = append(peers, fmt.Sprintf("ip %s { %s } ", way.peer, strings.Join(list, ", ")))
		}
	} else {
		pods = w.Pods
	}
	if len(rule.ports) == 0 {
		return cross(peers, []string{""}), nil
	}
	var rules []string
	for _, port := range rule.ports {
		switch {
		case port.Port == nil || port.Port.Type == intstr.Int:
			rules = append(rules, cross(peers, []string{number(port)})...)
		case way.kind == networkingv1.PolicyTypeIngress: // a name is one of the pod that gets the packet
			rules = append(rules, cross(peers, named(pod, port))...)
		default:
			for _, peer := range pods {
				if address, ok := addressOf(peer); ok {
					rules = append(rules, cross([]string{fmt.Sprintf("ip %s %s ", way.peer, address)}, named(peer, port))...)
				}
			}
		}
	}
	return rules, nil
}

func cross(peers, ports []string) []string {
	var rules []string
	for _, peer := range peers {
		for _, port := range ports {
			rules = append(rules, strings.TrimSpace(peer+port))
		}
	}
	return rules
}

func block(of *networkingv1.IPBlock, field string) string {
	text := fmt.Sprintf("ip %s %s ", field, of.CIDR)
	if len(of.Except) > 0 {
		text += fmt.Sprintf("ip %s != { %s } ", field, strings.Join(of.Except, ", "))
	}
	return text
}

// selected are the pods of a peer: those of the policy's own namespace where it names no other.
func (w World) selected(namespace string, peer networkingv1.NetworkPolicyPeer) ([]*corev1.Pod, error) {
	var found []*corev1.Pod
	for _, pod := range w.Pods {
		if peer.NamespaceSelector == nil && pod.Namespace != namespace {
			continue
		}
		if peer.NamespaceSelector != nil {
			if ok, err := matches(peer.NamespaceSelector, w.Namespaces[pod.Namespace]); err != nil || !ok {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		if peer.PodSelector != nil {
			if ok, err := matches(peer.PodSelector, pod.Labels); err != nil || !ok {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		found = append(found, pod)
	}
	return found, nil
}

func addresses(pods []*corev1.Pod) []string {
	var list []string
	for _, pod := range pods {
		if address, ok := addressOf(pod); ok {
			list = append(list, address.String())
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func protocol(port networkingv1.NetworkPolicyPort) string {
	if port.Protocol == nil {
		return "tcp"
	}
	return strings.ToLower(string(*port.Protocol))
}

// number is a port or a range of them; without a number every port of the protocol.
func number(port networkingv1.NetworkPolicyPort) string {
	switch {
	case port.Port == nil:
		return "meta l4proto " + protocol(port)
	case port.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d", protocol(port), port.Port.IntVal, *port.EndPort)
	}
	return fmt.Sprintf("%s dport %d", protocol(port), port.Port.IntVal)
}

// named are the ports of a pod that have the name; none is a rule that nothing fulfils.
func named(pod *corev1.Pod, port networkingv1.NetworkPolicyPort) []string {
	var found []string
	for _, container := range pod.Spec.Containers {
		for _, one := range container.Ports {
			is := strings.ToLower(string(cmp.Or(one.Protocol, corev1.ProtocolTCP)))
			if one.Name == port.Port.StrVal && is == protocol(port) {
				found = append(found, fmt.Sprintf("%s dport %d", is, one.ContainerPort))
			}
		}
	}
	return found
}
