package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/netspace"
)

// treatment answers a question about one of the target's names. ask asks the real name server. No message is silence.
type treatment func(ctx context.Context, asked *dns.Msg, ask func() (*dns.Msg, error)) (*dns.Msg, error)

// told is what the responder tells of itself.
type told struct {
	Treated uint64 `json:"treated"` // questions about the target's names that the fault has answered, or left unanswered
	Passed  uint64 `json:"passed"`  // other questions
}

// responder answers in the place of a name server, over UDP and TCP. Questions about other names it hands on.
type responder struct {
	target *Target
	space  *netspace.Space
	treat  treatment
	tell   func(any)
	port   uint16

	ctx     context.Context // ends the answers that are being waited for
	end     context.CancelFunc
	servers []*dns.Server
	running sync.WaitGroup
	failed  chan error

	mu    sync.Mutex
	count told
}

// handOnWithin is how long the real name server is waited for. Whoever asks gave up earlier.
const handOnWithin = 10 * time.Second

// respond listens on a port of the loopback address of the namespace, and answers until close.
func respond(target *Target, space *netspace.Space, treat treatment, tell func(any)) (*responder, error) {
	r := &responder{target: target, space: space, treat: treat, tell: tell, failed: make(chan error, 2)}
	r.ctx, r.end = context.WithCancel(context.Background())
	packets, listener, err := listen(space, loopback(target.resolver))
	if err != nil {
		return nil, err
	}
	r.port = uint16(listener.Addr().(*net.TCPAddr).Port)
	for _, server := range []*dns.Server{{PacketConn: packets}, {Listener: listener}} {
		server.Handler, server.MsgAcceptFunc = r, accept
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		r.servers = append(r.servers, server)
		r.running.Go(func() {
			if err := server.ActivateAndServe(); err != nil {
				r.failed <- fmt.Errorf("the responder ended: %w", err)
			}
		})
		select {
		case <-started:
		case err := <-r.failed:
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

// listen finds a port that is free for both protocols.
func listen(space *netspace.Space, address netip.Addr) (packets net.PacketConn, listener net.Listener, err error) {
	err = space.Do(func() error {
		var err error
		for range 16 {
			if packets, err = net.ListenPacket("udp", netip.AddrPortFrom(address, 0).String()); err != nil {
				return fmt.Errorf("cannot listen on the loopback address of the network namespace: %w", err)
			}
			if listener, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
				return nil
			}
			packets.Close()
		}
		return fmt.Errorf("cannot listen on the loopback address of the network namespace: %w", err)
	})
	return packets, listener, err
}

// accept takes every question, also of kinds that the library would refuse: the real name server may know them.
func accept(header dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if header.Bits&response != 0 {
		return dns.MsgIgnore
	}
	return dns.MsgAccept
}

// ServeDNS answers one question.
func (r *responder) ServeDNS(w dns.ResponseWriter, asked *dns.Msg) {
	network := w.LocalAddr().Network()
	ask := func() (*dns.Msg, error) { return r.handOn(asked, network) }
	chosen := r.target.chooses(asked)
	if chosen {
		defer r.add(told{Treated: 1})
	} else {
		defer r.add(told{Passed: 1})
	}
	var answer *dns.Msg
	var err error
	if chosen {
		answer, err = r.treat(r.ctx, asked, ask)
	} else {
		answer, err = ask()
	}
	if err != nil || answer == nil {
		return // where the real name server says nothing, so does this one
	}
	answer.Compress = true
	_ = w.WriteMsg(answer) // whoever asked may be gone
}

// handOn asks the real name server, past the redirection.
func (r *responder) handOn(asked *dns.Msg, network string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(r.ctx, handOnWithin)
	defer cancel()
	client := &dns.Client{Net: network, Timeout: handOnWithin, Dialer: &net.Dialer{Timeout: handOnWithin, Control: mark}}
	var conn *dns.Conn
	if err := r.space.Do(func() (err error) {
		conn, err = client.DialContext(ctx, netip.AddrPortFrom(r.target.resolver, dnsPort).String())
		return err
	}); err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answer, _, err := client.ExchangeWithConnContext(ctx, asked, conn)
	return answer, err
}

// mark lets the rules know the responder's own packets.
func mark(_, _ string, raw syscall.RawConn) error {
	var set error
	err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, ownMark) })
	return errors.Join(err, set)
}

func (r *responder) add(one told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count.Treated += one.Treated
	r.count.Passed += one.Passed
	r.tell(r.count)
}

// close ends the responder and waits until nothing of it runs any more.
func (r *responder) close() error {
	r.end()
	var err error
	for _, server := range r.servers {
		err = errors.Join(err, server.Shutdown())
	}
	r.running.Wait()
	return err
}
