package haproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/telemetry"
)

// balanced is an HAProxy in front of two servers that say their name.
type balanced struct {
	t       *testing.T
	haproxy *lab.HAProxy
	port    int
	one     *namer
	two     *namer
	target  jenner.Target
}

// namer is a server that says its name to whoever connects, and then keeps the connection.
type namer struct {
	net.Listener
	port int
}

func naming(t *testing.T, name string) *namer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { connection.Close() })
			fmt.Fprintln(connection, name)
		}
	}()
	return &namer{listener, listener.Addr().(*net.TCPAddr).Port}
}

// started starts HAProxy; the options of the two servers go behind their addresses.
func started(t *testing.T, optionsOne, optionsTwo string) *balanced {
	t.Helper()
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	b := &balanced{t: t, port: port, one: naming(t, "one"), two: naming(t, "two")}
	dir, err := os.MkdirTemp("", "haproxy-") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b.haproxy, err = lab.StartHAProxy(t.Context(), dir, fmt.Sprintf(`listen web
    bind 127.0.0.1:%d
    server one 127.0.0.1:%d %s
    server two 127.0.0.1:%d %s
`, port, b.one.port, optionsOne, b.two.port, optionsTwo))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.haproxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	b.target = jenner.Target{Kind: "haproxy", Name: "lb", Dir: filepath.Dir(b.haproxy.Socket),
		Params: jenner.Params{"socket": jenner.Raw("haproxy.sock"), "backend": jenner.Raw("web")}}
	return b
}

func (b *balanced) call() act.Call { return act.Call{Target: b.target} }

func (b *balanced) service() jenner.Service {
	return jenner.Service{Name: "web", Targets: []jenner.Target{b.target}}
}

// connect gives the name of the server that answers, and the connection.
func (b *balanced) connect() (string, net.Conn) {
	b.t.Helper()
	connection, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", b.port), await.Patience)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { connection.Close() })
	connection.SetDeadline(time.Now().Add(await.Patience))
	name, _ := bufio.NewReader(connection).ReadString('\n')
	return strings.TrimSpace(name), connection
}

// answers are the servers that answer some connections.
func (b *balanced) answers() []string {
	b.t.Helper()
	var names []string
	for range 6 {
		if name, _ := b.connect(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// tells gives HAProxy a command, as somebody else would.
func (b *balanced) tells(command string) {
	b.t.Helper()
	t, err := decode(b.target)
	if err == nil {
		err = t.tell(b.t.Context(), command)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *balanced) settings() string {
	b.t.Helper()
	t, err := decode(b.target)
	if err != nil {
		b.t.Fatal(err)
	}
	all, err := t.servers(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return all[0].setting() + ", " + all[1].setting()
}

func TestSetServerConforms(t *testing.T) {
	for name, action := range map[string]func() act.Action{
		"state":   func() act.Action { return &SetServer{Server: "two", State: stateDrain} },
		"maint":   func() act.Action { return &SetServer{Server: "two", State: stateMaint} },
		"address": func() act.Action { return &SetServer{Server: "two", Address: "127.0.0.2", Port: 9} },
		"both":    func() act.Action { return &SetServer{Server: "two", State: stateMaint, Port: 9} },
	} {
		t.Run(name, func(t *testing.T) {
			actiontest.Run(t, func(t *testing.T) actiontest.World {
				b := started(t, "", "")
				return actiontest.World{Action: action, Call: b.call(), Meddle: func(*testing.T) { b.meddle() }}
			})
		})
	}
	t.Run("already", func(t *testing.T) {
		actiontest.Run(t, func(t *testing.T) actiontest.World {
			b := started(t, "", "disabled")
			return actiontest.World{Action: func() act.Action { return &SetServer{Server: "two", State: stateMaint} }, Call: b.call(),
				Already: true, Meddle: func(*testing.T) { b.meddle() }}
		})
	})
}

// meddle sets the second server as nobody else does.
func (b *balanced) meddle() {
	action := &SetServer{Server: "two", Address: "127.0.0.9", Port: 99, AllowLast: true}
	if _, err := action.Do(b.t.Context(), b.call()); err != nil {
		b.t.Fatal(err)
	}
}

func switching(change func(*Switch)) *Switch {
	s := &Switch{From: "one", To: "two", UpWithin: jenner.Duration(10 * time.Second), UpFor: jenner.Duration(time.Second)}
	if change != nil {
		change(s)
	}
	return s
}

func TestSwitchConforms(t *testing.T) {
	for name, change := range map[string]func(*Switch){
		"new one first": nil,
		"exclusive":     func(s *Switch) { s.Exclusive = true },
		"sessions cut":  func(s *Switch) { s.CloseSessions = true },
	} {
		t.Run(name, func(t *testing.T) {
			actiontest.Run(t, func(t *testing.T) actiontest.World {
				b := started(t, "", "disabled")
				return actiontest.World{Action: func() act.Action { return switching(change) }, Call: b.call(),
					Meddle: func(*testing.T) { b.meddle() }}
			})
		})
	}
	t.Run("already", func(t *testing.T) {
		actiontest.Run(t, func(t *testing.T) actiontest.World {
			b := started(t, "disabled", "")
			return actiontest.World{Action: func() act.Action { return switching(nil) }, Call: b.call(), Already: true,
				Meddle: func(*testing.T) { b.meddle() }}
		})
	})
}

func TestProbeServerUpConforms(t *testing.T) {
	ask := func(b *balanced) (telemetry.Probe, telemetry.ProbeCall) {
		return &ProbeServerUp{}, telemetry.ProbeCall{Service: b.service()}
	}
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) { return ask(started(t, "", "")) },
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return ask(started(t, "disabled", "disabled"))
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			b := started(t, "", "")
			pid := b.haproxy.Process().Pid()
			if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Kill(pid, unix.SIGCONT) })
			return ask(b)
		},
		Wrong: map[string]telemetry.Probe{"server": &ProbeServerUp{Server: "a; b"}},
	})
}

// The traffic goes where it is sent, and comes back with the undo.
func TestSwitchMovesTheTraffic(t *testing.T) {
	b := started(t, "", "disabled")
	if got := b.answers(); !slices.Equal(got, []string{"one"}) {
		t.Fatalf("%v answer", got)
	}
	was := b.settings()
	_, kept := b.connect()
	action, call := switching(func(s *Switch) { s.CloseSessions = true }), b.call()
	call.Checkpoint = checkpoint(t, action, call)
	result, err := action.Do(t.Context(), call)
	if err != nil || !strings.Contains(result.Summary, "goes to two") {
		t.Fatalf("the switch says %+v, %v", result, err)
	}
	if got := b.answers(); !slices.Equal(got, []string{"two"}) {
		t.Errorf("after the switch %v answer", got)
	}
	if _, err := kept.Read(make([]byte, 8)); err == nil {
		t.Error("a session with the old server goes on although they were to be cut")
	}
	if _, err := action.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if got := b.answers(); !slices.Equal(got, []string{"one"}) || b.settings() != was {
		t.Errorf("after the undo %v answer, and it is %s, was %s", got, b.settings(), was)
	}
}

func checkpoint(t *testing.T, action act.Checkpointer, call act.Call) []byte {
	t.Helper()
	raw, err := action.Checkpoint(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A server that is not well gets no traffic: both are set back as they were.
func TestSwitchToADeadServerIsTakenBack(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		b := started(t, "", "disabled check inter 100ms fastinter 50ms")
		b.two.Close()
		was := b.settings()
		_, err := switching(func(s *Switch) {
			s.Exclusive, s.UpWithin, s.UpFor = exclusive, jenner.Duration(600*time.Millisecond), jenner.Duration(300*time.Millisecond)
		}).Do(t.Context(), b.call())
		wantError(t, err, "server two was not well within 600ms", "set back as they were")
		if now := b.settings(); now != was {
			t.Errorf("it is %s and was %s", now, was)
		}
	}
}

// A server with a check is waited for until the check is good.
func TestSwitchWaitsForTheCheck(t *testing.T) {
	b := started(t, "", "disabled check inter 100ms fastinter 50ms")
	if _, err := switching(func(s *Switch) { s.UpFor = jenner.Duration(100 * time.Millisecond) }).Do(t.Context(), b.call()); err != nil {
		t.Fatal(err)
	}
	if got := b.answers(); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%v answer", got)
	}
}

// After a crash in the middle, doing it again does the rest.
func TestHalfASwitchIsNotDone(t *testing.T) {
	b := started(t, "", "disabled")
	action, call := switching(nil), b.call()
	call.Checkpoint = checkpoint(t, action, call)
	b.tells("set server web/two state ready")
	if got, err := action.Happened(t.Context(), call); got != act.HappenedNot || err != nil {
		t.Errorf("Happened is %s, %v", got, err)
	}
	if _, err := action.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if got := b.answers(); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%v answer", got)
	}
}

// What somebody else set since is left alone by the undo.
func TestUndoKeepsWhatSomebodySet(t *testing.T) {
	b := started(t, "", "disabled")
	action, call := switching(nil), b.call()
	call.Checkpoint = checkpoint(t, action, call)
	if _, err := action.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	b.tells("set server web/one state drain")
	if _, err := action.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if now := b.settings(); !strings.Contains(now, "one drain") || !strings.Contains(now, "two maint") {
		t.Errorf("it is %s", now)
	}
	set := &SetServer{Server: "two", State: stateReady}
	call.Checkpoint = checkpoint(t, set, call)
	if _, err := set.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	b.tells("set server web/two state drain")
	if result, err := set.Undo(t.Context(), call); err != nil || result.Changed || !strings.Contains(result.Summary, "left alone") {
		t.Errorf("the undo says %+v, %v", result, err)
	}
}

// Somebody must go on serving.
func TestTheLastServerStays(t *testing.T) {
	b := started(t, "", "disabled")
	for _, state := range []string{stateDrain, stateMaint} {
		action := &SetServer{Server: "one", State: state}
		wantError(t, action.Check(t.Context(), b.call()), "last server", "allow_last")
		_, err := action.Do(t.Context(), b.call())
		wantError(t, err, "last server")
	}
	if _, err := (&SetServer{Server: "one", State: stateMaint, AllowLast: true}).Do(t.Context(), b.call()); err != nil {
		t.Error(err)
	}
	if _, err := (&SetServer{Server: "two", State: stateDrain}).Do(t.Context(), b.call()); err != nil {
		t.Errorf("a server that does not serve anyhow: %v", err)
	}
}

func TestSizes(t *testing.T) {
	b := started(t, "", "")
	for _, action := range []act.Sizer{&SetServer{Server: "two", State: stateMaint}, switching(nil)} {
		if size, err := action.Size(t.Context(), b.call()); err != nil || size != (act.Size{Unit: "servers", Want: 1, Total: 2}) {
			t.Errorf("the size is %+v, %v", size, err)
		}
	}
}

// The probe tells which server is down and why, and does not mind those that somebody took out.
func TestProbeServerUpTells(t *testing.T) {
	b := started(t, "check inter 50ms", "check inter 50ms")
	probe := func(server string) telemetry.Result {
		return (&ProbeServerUp{Server: server}).Probe(t.Context(), telemetry.ProbeCall{Service: b.service()})
	}
	b.two.Close()
	await.True(t, "the probe fails", func() bool { return probe("").Outcome == telemetry.Failed })
	if got := probe("").Message; !strings.Contains(got, "server two is DOWN") || !strings.Contains(got, "Connection refused") {
		t.Errorf("the message is %q", got)
	}
	if got := probe("one"); got.Outcome != telemetry.OK {
		t.Errorf("of the first one: %+v", got)
	}
	b.tells("set server web/two state maint")
	if got := probe(""); got.Outcome != telemetry.OK {
		t.Errorf("with the second one in maintenance: %+v", got)
	}
	if got := probe("two"); got.Outcome != telemetry.Failed || !strings.Contains(got.Message, "MAINT") {
		t.Errorf("of the second one: %+v", got)
	}
	if got := probe("three"); got.Outcome != telemetry.Failed || !strings.Contains(got.Message, `no server "three"`) {
		t.Errorf("of a third one: %+v", got)
	}
	if err := b.haproxy.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := probe(""); got.Outcome != telemetry.Failed {
		t.Errorf("without HAProxy: %+v", got)
	}
}

// The numbers are named as HAProxy's own exporter names them.
func TestTheSourceGivesNumbers(t *testing.T) {
	b := started(t, "check inter 50ms", "disabled")
	b.connect()
	source := &SourceHaproxy{}
	numbers := func() map[string]float64 {
		samples, err := source.Collect(t.Context(), telemetry.SourceCall{Service: b.service()})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, sample := range samples {
			got[fmt.Sprint(sample.Name, sample.Labels)] = sample.Value
		}
		return got
	}
	await.True(t, "the session is counted", func() bool {
		return numbers()["haproxy_server_current_sessionsmap[proxy:web server:one]"] == 1
	})
	got := numbers()
	for name, want := range map[string]float64{
		"haproxy_server_statusmap[proxy:web server:one state:UP]":    1,
		"haproxy_server_statusmap[proxy:web server:one state:DOWN]":  0,
		"haproxy_server_statusmap[proxy:web server:two state:MAINT]": 1,
		"haproxy_server_sessions_totalmap[proxy:web server:one]":     1,
		"haproxy_backend_active_serversmap[proxy:web]":               1,
		"haproxy_backend_current_queuemap[proxy:web]":                0,
	} {
		if value, has := got[name]; !has || value != want {
			t.Errorf("%s is %v (there: %v), want %v", name, value, has, want)
		}
	}
	if instance, err := source.Instance(telemetry.SourceCall{Service: b.service()}); err != nil || instance != b.haproxy.Socket {
		t.Errorf("the instance is %s, %v", instance, err)
	}
}

// What HAProxy says is handed on.
func TestHAProxysOwnWords(t *testing.T) {
	b := started(t, "", "")
	_, err := (&SetServer{Server: "on", State: stateMaint}).Do(t.Context(), b.call())
	wantError(t, err, `no server "on"`, "one")
	b.target.Params["backend"] = jenner.Raw("wb")
	_, err = (&SetServer{Server: "one", State: stateMaint}).Do(t.Context(), b.call())
	wantError(t, err, "Can't find backend")
	_, err = (&SourceHaproxy{}).Collect(t.Context(), telemetry.SourceCall{Service: b.service()})
	wantError(t, err, "No such proxy")
	b.target.Params["socket"] = jenner.Raw("nowhere.sock")
	_, err = (&SetServer{Server: "one", State: stateMaint}).Do(t.Context(), b.call())
	wantError(t, err, "cannot be asked", "nowhere.sock")
}

// A runtime API without the right to change anything says so.
func TestWithoutTheRightToChange(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		bufio.NewReader(connection).ReadString('\n')
		fmt.Fprintln(connection, "Permission denied")
	}()
	target := &Target{Socket: listener.Addr().String(), Backend: "web"}
	wantError(t, target.tell(t.Context(), "set server web/one state maint"), "Permission denied", "level admin")
}

func TestParametersThatAreWrong(t *testing.T) {
	for _, wrong := range []act.Validator{
		&SetServer{State: stateMaint}, &SetServer{Server: "a"}, &SetServer{Server: "a", State: "off"}, &SetServer{Server: "a\nquit", Port: 1},
		&SetServer{Server: "a", Address: "localhost"}, &SetServer{Server: "a", Port: 70000},
		&Switch{From: "a"}, &Switch{From: "a", To: "a"}, &Switch{From: "a", To: "b", UpFor: 2, UpWithin: 1},
		&Target{Backend: "a"}, &Target{Socket: "a"}, &Target{Socket: "a", Backend: "a b"},
	} {
		if wrong.Validate() == nil {
			t.Errorf("accepted: %+v", wrong)
		}
	}
	_, err := named(jenner.Service{Name: "web"}, "")
	wantError(t, err, "0 targets")
}

// A step that is taken back while it waits sets everything back.
func TestASwitchThatIsBrokenOff(t *testing.T) {
	b := started(t, "", "disabled check inter 100ms fastinter 50ms")
	b.two.Close()
	was := b.settings()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		_, err := switching(nil).Do(ctx, b.call())
		ended <- err
	}()
	await.True(t, "it has begun", func() bool { return b.settings() != was })
	cancel(errors.New("somebody stopped it"))
	wantError(t, <-ended, "somebody stopped it")
	if now := b.settings(); now != was {
		t.Errorf("it is %s and was %s", now, was)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not tell %q", err, part)
		}
	}
}
