package network

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
)

// inside is set where this test program runs in a world of its own.
const inside = "NETWORK_TEST_INSIDE"

// A target without a namespace is in the one that Jenner runs in. This test runs itself once more, in a namespace.
func TestTheNamespaceThatJennerRunsIn(t *testing.T) {
	if os.Getenv(inside) != "" {
		ownFaults(t)
		return
	}
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self, "-test.run", "^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), inside+"=1")
	var said []byte
	if err := w.ours.Do(func() (err error) {
		said, err = command.CombinedOutput()
		return err
	}); err != nil {
		t.Errorf("%v:\n%s", err, said)
	}
	if rules := w.rules(t); rules != "" {
		t.Errorf("left behind:\n%s", rules)
	}
}

func ownFaults(t *testing.T) {
	for name, params := range map[string]jenner.Params{
		"partition": {}, "loss": {"share": jenner.Raw("100%")}, "latency": {"delay": jenner.Raw("10s")},
		"bandwidth": {"rate": jenner.Raw("1mbit")}, "reset": {},
	} {
		conn, err := net.DialTimeout("tcp", at(theirs, echoPort), await.Patience)
		if err != nil {
			t.Fatalf("before %s: %v", name, err)
		}
		i := injector(t)
		record, err := i.Inject(t.Context(), jenner.FaultRecord{ID: "own-" + name, Fault: "network." + name, Params: params,
			Target: jenner.Target{Kind: "network", Name: "wire", Params: jenner.Params{"peer": jenner.Raw(theirs), "port": jenner.Raw(echoPort)}}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		switch err := ask(conn, brief); {
		case name == "bandwidth":
			_, err = conn.Write(make([]byte, 100<<10))
			if err != nil {
				t.Error(err)
			}
			await.OK(t, "it is slowed down", func() error {
				if witness, err := i.Bite(t.Context(), record); err != nil || !witness.Bit {
					return errors.Join(err, errors.New(witness.Saw))
				}
				return nil
			})
		case err == nil:
			t.Errorf("%s: nothing happens", name)
		}
		if err := i.Undo(t.Context(), record); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}
