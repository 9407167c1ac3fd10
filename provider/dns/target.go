package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/netspace"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("dns", "What a name server says about some names to one network namespace", func() any { return &Target{} })
}

// Target is a choice of questions: those that the programs of a network namespace ask one name server about some names.
// All other questions are answered as ever.
type Target struct {
	// Namespace is the path of a network namespace's file, such as /run/netns/shop. Where neither it nor pidfile is
	// written it is the namespace that Jenner itself runs in.
	Namespace string `json:"namespace,omitempty"`
	// Pidfile names a process that lives in the network namespace.
	Pidfile string `json:"pidfile,omitempty"`
	// Resolver is the address of the name server as the programs know it, such as 10.0.0.53; its port is 53.
	Resolver string `json:"resolver"`
	// Names are the names that are meant: payments.internal, *.internal for all below it, or * for every name.
	Names []string `json:"names"`

	resolver netip.Addr
	where    netspace.Where
}

// Validate checks what can be checked without touching anything.
func (t *Target) Validate() error {
	if err := t.place().Validate(); err != nil {
		return err
	}
	if _, err := parseResolver(t.Resolver); err != nil {
		return err
	}
	if len(t.Names) == 0 {
		return errors.New("names is missing, and every name is not meant in silence; write the names, or * for every name")
	}
	for _, name := range t.Names {
		if _, valid := dns.IsDomainName(name); name == "" || !valid || strings.Contains(strings.TrimPrefix(name, "*"), "*") ||
			strings.HasPrefix(name, "*") && name != "*" && !strings.HasPrefix(name, "*.") {
			return fmt.Errorf("names: %q is not a name such as payments.internal, *.internal or *", name)
		}
	}
	return nil
}

func parseResolver(written string) (netip.Addr, error) {
	address, err := netip.ParseAddr(written)
	if err != nil || address.Zone() != "" || address.IsUnspecified() || address.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("resolver %q is not the address of a name server, such as 10.0.0.53", written)
	}
	return address.Unmap(), nil
}

func (t *Target) place() netspace.Where {
	return netspace.Where{Namespace: t.Namespace, Pidfile: t.Pidfile}
}

// decode reads a target's parameters.
func decode(target jenner.Target) (*Target, error) {
	if target.Kind != "dns" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not of kind dns", target.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	t.resolver, _ = parseResolver(t.Resolver) // Validate has seen the error
	t.where = t.place()
	t.where.Dir = target.Dir
	return t, nil
}

// chooses tells whether a question is about one of the names.
func (t *Target) chooses(asked *dns.Msg) bool {
	for _, question := range asked.Question {
		name := dns.CanonicalName(question.Name)
		for _, pattern := range t.Names {
			if matches(dns.CanonicalName(pattern), name) {
				return true
			}
		}
	}
	return false
}

func matches(pattern, name string) bool {
	if pattern == "*." {
		return true
	}
	below, wild := strings.CutPrefix(pattern, "*")
	if wild {
		return strings.HasSuffix(name, below) && len(name) > len(below)
	}
	return name == pattern
}
