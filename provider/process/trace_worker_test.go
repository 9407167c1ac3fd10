package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// A worker is a real Go program that reads the clock and works on files as it is told, over a connection.
func init() {
	switch os.Getenv(role) {
	case "traced":
		work(os.Args[1:])
		os.Exit(0)
	case "nobody":
		var pid int
		fmt.Sscan(os.Args[1], &pid)
		fmt.Println(traceable(pid, false))
		os.Exit(0)
	}
}

func work(flags []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = os.WriteFile("run/address", []byte(listener.Addr().String()), 0o600)
	}
	if err == nil {
		err = writePidfile(strings.TrimPrefix(flags[0], "pidfile="), os.Getpid())
	}
	if err != nil {
		panic(err)
	}
	// Its test may forget it, and the clocks of Go's own timers are what some tests move.
	forgotten := make(chan os.Signal, 1)
	signal.Notify(forgotten, syscall.SIGALRM)
	go func() { <-forgotten; os.Exit(1) }()
	unix.Setitimer(unix.ITIMER_REAL, unix.Itimerval{Value: unix.Timeval{Sec: 120}})
	w := &worker{began: time.Now(), usr1: make(chan os.Signal, 1000)}
	signal.Notify(w.usr1, syscall.SIGUSR1)
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go w.serve(connection)
	}
}

type worker struct {
	began time.Time
	usr1  chan os.Signal

	mu      sync.Mutex
	results results
}

// results are those of the writes in the background, by what they gave.
type results struct {
	Written int64          `json:"written"` // bytes that write said were written
	Gave    map[string]int `json:"gave"`
}

func (w *worker) serve(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		command, argument, _ := strings.Cut(lines.Text(), " ")
		fmt.Fprintln(connection, w.answer(command, argument))
	}
}

func (w *worker) answer(command, path string) string {
	switch command {
	case "time":
		now := time.Now()
		return fmt.Sprint(now.UnixNano(), " ", now.Sub(w.began).Nanoseconds())
	case "writes":
		return writeOften(path)
	case "usr1":
		return fmt.Sprint(len(w.usr1))
	case "write":
		return writeOnce(path)
	case "read":
		_, err := os.ReadFile(path)
		return gave(err)
	case "remove":
		return gave(os.Remove(path))
	case "hammer":
		for range 3 {
			go w.hammer(path)
		}
	case "spin":
		for range 2 {
			go func() {
				for time.Now().Unix() > 0 {
					runtime.KeepAlive(w)
				}
			}()
		}
	case "churn":
		go func() {
			for {
				ended := make(chan struct{})
				go func() {
					runtime.LockOSThread() // the thread ends with the goroutine
					close(ended)
				}()
				<-ended
			}
		}()
	case "exec":
		os.Remove("run/address")
		go syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	case "sandbox":
		return gave(sandbox())
	case "results":
		w.mu.Lock()
		defer w.mu.Unlock()
		return string(jenner.Raw(w.results))
	}
	return "ok"
}

// sandbox puts a seccomp filter around the program, which refuses unknown calls with EPERM.
func sandbox() error {
	const highest = 500
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: highest, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// hammer writes for ever, 8 bytes at a time.
func (w *worker) hammer(path string) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	for {
		n, err := file.Write([]byte("12345678"))
		w.mu.Lock()
		if w.results.Gave == nil {
			w.results.Gave = map[string]int{}
		}
		w.results.Written += int64(n)
		w.results.Gave[gave(err)]++
		w.mu.Unlock()
	}
}

func writeOnce(path string) string {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return "open " + gave(err)
	}
	defer file.Close()
	if _, err := file.WriteString("order 4711\n"); err != nil {
		return "write " + gave(err)
	}
	return gave(file.Sync())
}

// writeOften writes to data/log without a pause.
func writeOften(often string) string {
	file, err := os.OpenFile("data/log", os.O_WRONLY, 0o600)
	if err != nil {
		return gave(err)
	}
	defer file.Close()
	count, err := strconv.Atoi(often)
	for i := 0; i < count && err == nil; i++ {
		_, err = file.WriteAt([]byte("12345678"), 0)
	}
	return gave(err)
}

// gave is the name of the kernel's error.
func gave(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// hired is a worker that runs.
func hired(t *testing.T) (jenner.Target, *client) {
	t.Helper()
	target := program(t, "traced", "pidfile=run/shop.pid")
	return target, &client{t: t, target: target, sight: begin(t, target)}
}

// client talks with a worker.
type client struct {
	sight
	t      testing.TB
	target jenner.Target
}

func (c *client) ask(words ...string) string {
	c.t.Helper()
	address, err := os.ReadFile(filepath.Join(c.target.Dir, "run/address"))
	if err != nil {
		c.t.Fatal(err)
	}
	connection, err := net.DialTimeout("tcp", string(address), 10*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(2 * time.Minute))
	fmt.Fprintln(connection, strings.Join(words, " "))
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q is not answered: %v", words, err)
	}
	return strings.TrimSpace(answer)
}

func (c *client) path(name string) string { return filepath.Join(c.target.Dir, name) }

// clocks are how far the worker's wall clock is ahead of this process's, and its monotonic time.
func (c *client) clocks() (ahead, monotonic time.Duration) {
	c.t.Helper()
	var wall, mono int64
	if _, err := fmt.Sscan(c.ask("time"), &wall, &mono); err != nil {
		c.t.Fatal(err)
	}
	return time.Until(time.Unix(0, wall)), time.Duration(mono)
}

func (c *client) results() (r results) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.ask("results")), &r); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// states are the states of the worker's threads, sorted: R, S, t …
func (c *client) states() string {
	c.t.Helper()
	tids, err := threads(c.Pid)
	if err != nil {
		c.t.Fatal(err)
	}
	var states []byte
	for _, tid := range tids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", c.Pid, tid))
		if at := strings.LastIndexByte(string(raw), ')'); err == nil && at > 0 {
			states = append(states, raw[at+2])
		}
	}
	slices.Sort(states)
	return string(states)
}

// free tells whether nobody traces the worker, and none of its threads is stopped.
func (c *client) free() bool {
	c.t.Helper()
	tracer, err := statusNumber(c.Pid, "TracerPid")
	if err != nil {
		c.t.Fatal(err)
	}
	return tracer == 0 && !strings.ContainsAny(c.states(), "tT")
}

// laboratory injects faults as Jenner does, with a journal and processes that hold them.
func laboratory(t testing.TB) *chaos.Injector {
	t.Helper()
	t.Setenv("GORACE", "atexit_sleep_ms=0") // a program under the race detector otherwise ends a second late
	dir := filepath.Join(t.TempDir(), "faults")
	journal, err := chaos.OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	holders := &chaos.Holders{Command: []string{os.Args[0], "faulttest-hold", dir}, Journal: journal}
	return &chaos.Injector{Journal: journal, Now: time.Now, Build: catalog.Merge(Provider).MakeFault, Holders: holders,
		Held: func() (jenner.Hold, bool) { return jenner.Hold{}, false }}
}

// strike injects a fault, which ends with the test.
func strike(t testing.TB, injector *chaos.Injector, target jenner.Target, fault string, params map[string]any) jenner.FaultRecord {
	t.Helper()
	record := jenner.FaultRecord{ID: "f-" + jenner.Fingerprint(t.Name(), fault), Fault: fault, Target: target, Params: written(params)}
	record, err := injector.Inject(t.Context(), record, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { undo(t, injector, record) })
	return record
}

func written(params map[string]any) jenner.Params {
	raw := jenner.Params{}
	for name, value := range params {
		raw[name] = jenner.Raw(value)
	}
	return raw
}

func undo(t testing.TB, injector *chaos.Injector, record jenner.FaultRecord) {
	t.Helper()
	if err := injector.Undo(context.WithoutCancel(t.Context()), record); err != nil {
		t.Error(err)
	}
}

// forker is a program with a C library: it and a child that it has forked, and with `again` one more child all the time,
// write into run/parent and run/child what the three functions of the C library give for the time, and how a write to
// data/log went.
const forker = `
use Time::HiRes qw(clock_gettime CLOCK_REALTIME CLOCK_MONOTONIC sleep);
use IO::Handle;
my $name = "parent";
if (!fork) { $name = "child" } else { open P, ">", "run/shop.pid.new"; print P "$$\n"; close P; rename "run/shop.pid.new", "run/shop.pid" }
open LOG, ">>", "data/log";
for (my $i = 0; $i < 6000; $i++) {
	exit if $name eq "child" && getppid == 1;
	my $wrote = defined(syswrite(LOG, "order\n")) ? "ok" : $!{EIO} ? "EIO" : "other";
	open OUT, ">", "run/$name.new";
	printf OUT "%d %.3f %.3f %.3f %s\n", time, Time::HiRes::time(), clock_gettime(CLOCK_REALTIME), clock_gettime(CLOCK_MONOTONIC), $wrote;
	close OUT;
	rename "run/$name.new", "run/$name";
	if ($again && $name eq "parent") { if (!fork) { sleep 0.05; exit } waitpid(-1, 1) }
	sleep 0.005;
}
`

// forking is a forker that runs.
func forking(t *testing.T, again string) (jenner.Target, sight) {
	t.Helper()
	target := with(program(t, "traced"), "start", "perl forker.pl")
	for _, folder := range []string{"data"} {
		if err := os.Mkdir(filepath.Join(target.Dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(target.Dir, "forker.pl"), []byte("our $again = \""+again+"\";"+forker), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endNow(t, target) })
	return target, begin(t, target)
}

// skews are how far a forker's clocks are ahead: time, gettimeofday, clock_gettime, and its monotonic clock.
type skews [4]time.Duration

// told is what a forker has written last: about its clocks, and how its write went.
func told(t *testing.T, target jenner.Target, name string) (ahead skews, wrote string) {
	t.Helper()
	var seconds [4]float64
	await.True(t, name+" tells the time", func() bool {
		raw, err := os.ReadFile(filepath.Join(target.Dir, "run", name))
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(string(raw), &seconds[0], &seconds[1], &seconds[2], &seconds[3], &wrote)
		return err == nil
	})
	var monotonic unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic); err != nil {
		t.Fatal(err)
	}
	for i := range seconds {
		now := time.Now().UnixNano()
		if i == 3 {
			now = monotonic.Nano()
		}
		ahead[i] = time.Duration(seconds[i]*float64(time.Second)) - time.Duration(now)
	}
	return ahead, wrote
}
