package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// searchPath is where services look for programs; runc and nft are in sbin.
const searchPath = "/opt/kubelab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Init is what a machine's first process does. It returns only where the machine cannot be started.
func Init() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	answers := os.NewFile(3, "answers")
	unix.CloseOnExec(3)
	spec, err := prepare()
	if err != nil {
		log.Print(err)
		fmt.Fprint(answers, err)
		os.Exit(1)
	}
	log.Printf("machine %s is up", spec.Name)
	children := newChildren()
	for _, service := range spec.Services {
		go children.keep(service)
	}
	fmt.Fprint(answers, ready)
	answers.Close()
	children.reap()
}

func prepare() (Spec, error) {
	var spec Spec
	// The orders come when the interface is there; their end without a word means that the one who gives them has died.
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return spec, fmt.Errorf("no orders: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return spec, fmt.Errorf("host name: %w", err)
	}
	if err := makeRoot(spec); err != nil {
		return spec, fmt.Errorf("root file system: %w", err)
	}
	if err := joinNetwork(spec.Net); err != nil {
		return spec, fmt.Errorf("network: %w", err)
	}
	return spec, os.Setenv("PATH", searchPath)
}

// children are the processes of the machine. Its first process is told of the end of every orphan too, so that exec.Cmd,
// which waits for its own child only, is of no use here.
type children struct {
	mu    sync.Mutex
	ended map[int]chan syscall.WaitStatus
	died  chan os.Signal
}

func newChildren() *children {
	c := &children{ended: map[int]chan syscall.WaitStatus{}, died: make(chan os.Signal, 1)}
	signal.Notify(c.died, syscall.SIGCHLD)
	return c
}

// reap takes note of every end, for ever.
func (c *children) reap() {
	for range c.died {
		for {
			var status syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
			if err == syscall.EINTR {
				continue
			}
			if err != nil || pid <= 0 {
				break
			}
			c.mu.Lock()
			if ended, ours := c.ended[pid]; ours {
				ended <- status
				delete(c.ended, pid)
			}
			c.mu.Unlock()
		}
	}
}

// keep starts a service again and again.
func (c *children) keep(service Service) {
	for {
		await(service.Await)
		ended, err := c.start(service)
		if err != nil {
			log.Printf("%s cannot be started: %v", service.Name, err)
		} else {
			status := <-ended
			log.Printf("%s has ended: exit code %d, signal %d", service.Name, status.ExitStatus(), max(0, status.Signal()))
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func (c *children) start(service Service) (<-chan syscall.WaitStatus, error) {
	out, err := os.OpenFile("/var/log/"+service.Name+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	c.mu.Lock() // until the number is noted, so that its end is not taken for an orphan's
	defer c.mu.Unlock()
	pid, err := syscall.ForkExec(service.Args[0], service.Args, &syscall.ProcAttr{Dir: "/",
		Env:   append([]string{"PATH=" + searchPath, "HOME=/root"}, service.Env...),
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return nil, err
	}
	log.Printf("%s is started as process %d", service.Name, pid)
	ended := make(chan syscall.WaitStatus, 1)
	c.ended[pid] = ended
	return ended, nil
}

// await returns when the address takes connections; without an address at once.
func await(where string) {
	network, address, ok := strings.Cut(where, " ")
	if !ok {
		return
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		connection, err := (&net.Dialer{}).DialContext(ctx, network, address)
		cancel()
		if err == nil {
			connection.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}
