// Package names answers what a cluster's DNS is asked most: the addresses of Services and of the pods behind headless
// ones, as in https://github.com/kubernetes/dns/blob/master/docs/specification.md, version 1.1.0.
//
// It is for the lab. It is not a resolver: names outside of the cluster do not exist, there are addresses of IPv4 only,
// over UDP only, and no records of other kinds.
package names

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Zone is the cluster's domain.
const Zone = "cluster.local."

// TTL is how long an answer is good, in seconds.
const TTL = 5

// Directory is where the names are looked up.
type Directory interface {
	Service(namespace, name string) (*corev1.Service, bool)
	Slices(namespace, service string) []*discoveryv1.EndpointSlice
}

// Lookup returns the addresses of a name that ends with Zone, and whether there is such a name. A headless Service
// without a ready pod is a name without addresses.
func Lookup(directory Directory, name string) ([]netip.Addr, bool) {
	rest, ok := strings.CutSuffix(strings.ToLower(name), ".svc."+Zone)
	if !ok {
		return nil, false
	}
	parts := strings.Split(rest, ".")
	host := ""
	if len(parts) == 3 {
		host, parts = parts[0], parts[1:]
	}
	if len(parts) != 2 {
		return nil, false
	}
	service, ok := directory.Service(parts[1], parts[0])
	if !ok || service.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, false
	}
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		address, err := netip.ParseAddr(service.Spec.ClusterIP)
		if err != nil || host != "" {
			return nil, false
		}
		return []netip.Addr{address}, true
	}
	found := endpoints(directory.Slices(service.Namespace, service.Name), host, service.Spec.PublishNotReadyAddresses)
	return found, host == "" || len(found) > 0
}

// endpoints are the ready ones, or those of one host name.
func endpoints(of []*discoveryv1.EndpointSlice, host string, unready bool) []netip.Addr {
	var found []netip.Addr
	for _, slice := range of {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			named := endpoint.Hostname != nil && *endpoint.Hostname == host
			if !ready && !unready || host != "" && !named {
				continue
			}
			for _, text := range endpoint.Addresses {
				if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
					found = append(found, address)
				}
			}
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found)
}

// Answer answers one message; nil where it is not a question.
func Answer(directory Directory, asked []byte) []byte {
	var message dnsmessage.Message
	if err := message.Unpack(asked); err != nil || message.Response || len(message.Questions) != 1 {
		return nil
	}
	question := message.Questions[0]
	found, exists := Lookup(directory, question.Name.String())
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: message.ID, Response: true, Authoritative: true,
		RecursionDesired: message.RecursionDesired, RecursionAvailable: true}, Questions: message.Questions}
	switch {
	case !exists:
		answer.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA:
		for _, address := range found {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: TTL},
				Body:   &dnsmessage.AResource{A: address.As4()}})
		}
	}
	// A plain message has 512 bytes: 12 of them for the header, the question, and 16 for each answer.
	room := (512 - 12 - (len(question.Name.String()) + 1 + 4)) / 16
	answer.Answers = answer.Answers[:min(len(answer.Answers), room)]
	packed, err := answer.Pack()
	if err != nil {
		return nil
	}
	return packed
}
