package dns

import (
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestTargetsThatAreRefused(t *testing.T) {
	for want, params := range map[string]map[string]any{
		"every name is not meant in silence": {"resolver": "10.0.0.53"},
		"not the address of a name server":   {"resolver": "dns.internal", "names": []string{"a"}},
		"resolver \"0.0.0.0\"":               {"resolver": "0.0.0.0", "names": []string{"a"}},
		"resolver \"\"":                      {"names": []string{"a"}},
		"names: \"\"":                        {"resolver": "10.0.0.53", "names": []string{"a", ""}},
		"names: \"a.*.b\"":                   {"resolver": "10.0.0.53", "names": []string{"a.*.b"}},
		"names: \"*a\"":                      {"resolver": "10.0.0.53", "names": []string{"*a"}},
		"names: \"a..b\"":                    {"resolver": "10.0.0.53", "names": []string{"a..b"}},
		"write one":                          {"resolver": "10.0.0.53", "names": []string{"a"}, "namespace": "/a", "pidfile": "/b"},
	} {
		written := jenner.Params{}
		for name, value := range params {
			written[name] = jenner.Raw(value)
		}
		if _, err := decode(jenner.Target{Kind: "dns", Name: "names", Params: written}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	for want, params := range map[string]map[string]any{
		"wrong: addresses is missing":        {},
		"wrong: addresses: \"here\"":         {"addresses": []string{"here"}},
		"failing: with \"\" is not nxdomain": {},
		"slow: delay is missing":             {},
		"slow: delay 2m is more than 1m":     {"delay": "2m"},
	} {
		name, _, _ := strings.Cut(want, ":")
		written := jenner.Params{}
		for key, value := range params {
			written[key] = jenner.Raw(value)
		}
		_, _, err := catalog.Merge(Provider).MakeFault(name, "dns", written)
		if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, name+": ")) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"shop.internal", "shop.internal.", true},
		{"Shop.Internal.", "sHOP.internal.", true},
		{"shop.internal", "a.shop.internal.", false},
		{"shop.internal", "myshop.internal.", false},
		{"*.internal", "shop.internal.", true},
		{"*.internal", "a.shop.internal.", true},
		{"*.internal", "internal.", false},
		{"*.internal", "shop.myinternal.", false},
		{"*", "anything.", true},
	} {
		target := &Target{Names: []string{"nothing.else", test.pattern}}
		if got := target.chooses(new(dns.Msg).SetQuestion(test.name, dns.TypeA)); got != test.want {
			t.Errorf("%s chooses %s: %v", test.pattern, test.name, got)
		}
	}
}

func TestMissingRightsAreNamed(t *testing.T) {
	w := newWorld(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: this thread loses a capability
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&header, &data[0])
		if err == nil {
			data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
			err = unix.Capset(&header, &data[0])
		}
		if err == nil {
			_, err = (&FaultSlow{}).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "poor", Target: w.target(theirs, "*")}})
		}
		done <- err
	}()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "needs CAP_NET_ADMIN; run as root") {
		t.Errorf("%v, want the missing capability", err)
	}
}
