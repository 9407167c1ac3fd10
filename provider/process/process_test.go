package process

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// role makes the test binary a program to start: a real process with a real pidfile.
const role = "JENNER_PROCESS_TEST"

func TestMain(m *testing.M) {
	if faulttest.Programs(catalog.Merge(Provider).MakeFault) {
		return
	}
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "serve":
		serve(os.Args[1:])
	case "daemon":
		daemonise(os.Args[1:])
	case "starter":
		start(os.Args[1])
	}
}

// serve is a process that stays in the foreground. It ends with SIGTERM, and after a minute if its test forgot it.
func serve(flags []string) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	deaf := false
	for _, flag := range flags {
		name, value, _ := strings.Cut(flag, "=")
		switch name {
		case "pidfile":
			if err := writePidfile(value, os.Getpid()); err != nil {
				panic(err)
			}
		case "deaf":
			deaf = true
		case "fail":
			os.Stderr.WriteString("first line\nthe port is in use\n")
			os.Exit(7)
		}
	}
	late := time.After(time.Minute)
	for {
		select {
		case <-ended:
			for _, flag := range flags {
				if file, ok := strings.CutPrefix(flag, "termed="); ok {
					os.WriteFile(file, nil, 0o600)
				}
			}
			if !deaf {
				return
			}
		case <-late:
			return
		}
	}
}

// daemonise starts serve in a session of its own and returns.
func daemonise(flags []string) {
	command := exec.Command(os.Args[0], flags...)
	command.Env = append(os.Environ(), role+"=serve")
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		panic(err)
	}
}

// start is a jenner that starts a target and then waits to be killed.
func start(written string) {
	var target jenner.Target
	if err := json.Unmarshal([]byte(written), &target); err != nil {
		panic(err)
	}
	if _, err := ensureRunning(context.Background(), target); err != nil {
		panic(err)
	}
	serve(nil)
}

// startAs starts the test binary in a role with the target as its argument; it ends with the test at the latest.
func startAs(t *testing.T, as string, target jenner.Target) (pid int) {
	t.Helper()
	command := exec.Command(os.Args[0], string(jenner.Raw(target)))
	command.Env = append(os.Environ(), role+"="+as)
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		command.Process.Kill()
		<-ended
	})
	return command.Process.Pid
}

// program is a target in a folder of its own whose process ends with the test.
func program(t *testing.T, as string, flags ...string) jenner.Target {
	t.Helper()
	dir := t.TempDir()
	target := jenner.Target{Kind: "process", Name: "shop", Dir: dir, Params: jenner.Params{
		"start": jenner.Raw(command(flags...)), "pidfile": jenner.Raw("run/shop.pid"),
		"env": jenner.Raw(map[string]string{role: as, "GORACE": "atexit_sleep_ms=0"}), "grace": jenner.Raw("10s"),
	}}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endNow(t, target) })
	return target
}

// command is the test binary's command line.
func command(flags ...string) string {
	return "'" + os.Args[0] + "' " + strings.Join(flags, " ")
}

// server is a target that writes its pidfile itself.
func server(t *testing.T, flags ...string) jenner.Target {
	return program(t, "serve", append([]string{"pidfile=run/shop.pid"}, flags...)...)
}

// running is a server that was started.
func running(t *testing.T, flags ...string) (jenner.Target, sight) {
	t.Helper()
	target := server(t, flags...)
	return target, begin(t, target)
}

func begin(t *testing.T, target jenner.Target) sight {
	t.Helper()
	if _, err := ensureRunning(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	return looked(t, target)
}

func looked(t *testing.T, target jenner.Target) sight {
	t.Helper()
	_, seen, err := see(target)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// endNow kills what the pidfile names, where it is the target's own, and waits for it.
func endNow(t *testing.T, target jenner.Target) {
	t.Helper()
	_, seen, err := see(target)
	if err != nil || !seen.Alive {
		return
	}
	endPid(t, seen.Pid)
}

func endPid(t *testing.T, pid int) {
	t.Helper()
	syscall.Kill(pid, syscall.SIGKILL)
	await.True(t, "the process ends", func() bool {
		_, living, err := readStat(pid)
		return err == nil && !living
	})
}

func with(target jenner.Target, name string, value any) jenner.Target {
	params := jenner.Params{name: jenner.Raw(value)}
	for key, raw := range target.Params {
		if key != name {
			params[key] = raw
		}
	}
	target.Params = params
	return target
}

func pidfile(target jenner.Target) string { return filepath.Join(target.Dir, "run/shop.pid") }

func writePid(t *testing.T, target jenner.Target, pid int) {
	t.Helper()
	if err := os.WriteFile(pidfile(target), []byte(strconv.Itoa(pid)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stranger is a process of another program, which ends with the test.
func stranger(t *testing.T) int {
	t.Helper()
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	await.True(t, "sleep sleeps", func() bool {
		args, err := os.ReadFile("/proc/" + strconv.Itoa(command.Process.Pid) + "/cmdline")
		return err == nil && strings.HasPrefix(string(args), "sleep")
	})
	return command.Process.Pid
}

func alive(t *testing.T, pid int) bool {
	t.Helper()
	_, living, err := readStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	return living
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

func wantForeign(t *testing.T, err error) {
	t.Helper()
	var foreign *foreignError
	if !errors.As(err, &foreign) {
		t.Errorf("error is %v, want one about somebody else's process", err)
	}
}
