package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/netspace"
)

// Of the queue between the kernel and the process that delays packets.
const (
	queueLength = 16384   // packets; those beyond it go on without waiting
	queueBuffer = 8 << 20 // bytes, of the socket that tells of packets
	queueTries  = 256     // numbers that are tried until one is free
)

// queue lets packets wait. They go on in the order in which they came: a packet whose own delay is over waits for those
// in front of it, as on a wire.
type queue struct {
	Number        uint16
	delay, jitter time.Duration
	nfq           *nfqueue.Nfqueue
	failed        chan error // gets the error after which nothing is received any more

	mu      sync.Mutex
	waiting []packet
	latest  uint32 // the number of the last packet that came
	arrived chan struct{}
	count   delayed
}

type packet struct {
	id           uint32
	came, leaves time.Time
}

// delayed is what the holder of a latency tells.
type delayed struct {
	Packets uint64          `json:"packets"` // that went on after their delay
	Waited  jenner.Duration `json:"waited"`  // all of them together, as measured
	Longest jenner.Duration `json:"longest"`
}

// listen opens a queue in the namespace under a number that nobody uses. What comes before run waits for it.
func listen(ctx context.Context, space *netspace.Space, fault string, delay, jitter time.Duration) (*queue, error) {
	hash := fnv.New32a()
	hash.Write([]byte(fault))
	for i := range uint32(queueTries) {
		number := uint16((hash.Sum32() + i) % nobodysQueue)
		q := &queue{Number: number, delay: delay, jitter: jitter, failed: make(chan error, 1), arrived: make(chan struct{}, 1)}
		err := q.open(ctx, space)
		if err == nil {
			return q, nil
		}
		// The kernel answers a queue that another process has bound in one of these two ways.
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("cannot listen to a queue of packets: %w", err)
		}
	}
	return nil, jenner.Retryable(fmt.Errorf("none of %d queues of packets is free", queueTries), "")
}

func (q *queue) open(ctx context.Context, space *netspace.Space) (err error) {
	q.nfq, err = nfqueue.Open(&nfqueue.Config{
		NetNS: space.FD(), NfQueue: q.Number, MaxQueueLen: queueLength, Copymode: nfqueue.NfQnlCopyMeta,
		Flags: nfqueue.NfQaCfgFlagFailOpen | nfqueue.NfQaCfgFlagGSO, AfFamily: unix.AF_UNSPEC,
	})
	if err != nil {
		return err
	}
	if err = q.widen(); err == nil {
		err = q.nfq.RegisterWithErrorFunc(ctx, q.take, func(err error) int {
			if ctx.Err() != nil || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOENT) {
				return 0 // it ends, or a packet is gone that nobody can let go on any more
			}
			q.failed <- err
			return 1
		})
	}
	if err != nil {
		return errors.Join(err, q.nfq.Con.Close())
	}
	return nil
}

// widen makes room for bursts of packets, beyond what is allowed without CAP_NET_ADMIN.
func (q *queue) widen() error {
	raw, err := q.nfq.Con.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queueBuffer) })
	return os.NewSyscallError("setsockopt", errors.Join(err, set))
}

// take is called for each packet that the kernel hands over, one after the other.
func (q *queue) take(a nfqueue.Attribute) int {
	if a.PacketID == nil {
		return 0
	}
	came := time.Now()
	leaves := came.Add(q.delay)
	if q.jitter > 0 {
		leaves = leaves.Add(time.Duration(rand.Int64N(int64(2*q.jitter)+1)) - q.jitter)
	}
	q.mu.Lock()
	q.latest = *a.PacketID
	q.waiting = append(q.waiting, packet{*a.PacketID, came, leaves})
	q.mu.Unlock()
	select {
	case q.arrived <- struct{}{}:
	default: // told already
	}
	return 0
}

// run lets the packets go on, each in its time, until ctx ends. told hears what was measured after each round.
func (q *queue) run(ctx context.Context, told func(delayed)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, count, err := q.release(time.Now())
		if err != nil {
			return err
		}
		told(count)
		var due <-chan time.Time
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-q.failed:
			return fmt.Errorf("cannot hear of packets any more: %w", err)
		case <-due:
		case <-q.arrived:
		}
	}
}

// release lets those go on whose time has come, and tells when the next one's comes; zero where nothing waits.
func (q *queue) release(now time.Time) (next time.Time, count delayed, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ready := 0
	for ready < len(q.waiting) && !q.waiting[ready].leaves.After(now) {
		waited := jenner.Duration(now.Sub(q.waiting[ready].came))
		q.count.Packets++
		q.count.Waited += waited
		q.count.Longest = max(q.count.Longest, waited)
		ready++
	}
	if ready > 0 { // one word for all of them: those up to this number
		err = q.nfq.SetVerdictBatch(q.waiting[ready-1].id, nfqueue.NfAccept)
		q.waiting = q.waiting[ready:]
	}
	if len(q.waiting) > 0 {
		next = q.waiting[0].leaves
	}
	return next, q.count, err
}

// releaseAll lets all that waits go on at once, also what the kernel has not told of yet. It is for when nothing more
// comes: giving the queue up would lose what is in it.
func (q *queue) releaseAll() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := q.latest + 1<<30 // the kernel counts on from there, and compares as if numbers never ended
	q.waiting = nil
	return q.nfq.SetVerdictBatch(last, nfqueue.NfAccept)
}

// The flags of the target NFQUEUE.
const (
	noFlags = 0
	bypass  = 1 // where nobody listens packets go on
)

// toQueue hands packets to the listener of a queue. It is the target NFQUEUE of xtables, which nftables can use with
// CONFIG_NFT_COMPAT and CONFIG_NETFILTER_XT_TARGET_NFQUEUE, for the queue of nftables itself is not in every kernel.
func toQueue(number, flags uint16) expr.Any {
	const revision = 3
	// struct xt_NFQ_info_v3: queue number, how many queues, flags, each in the machine's own order; padded to 8 bytes.
	info := xt.Unknown(make([]byte, 8))
	binary.NativeEndian.PutUint16(info[0:], number)
	binary.NativeEndian.PutUint16(info[2:], 1)
	binary.NativeEndian.PutUint16(info[4:], flags)
	return &expr.Target{Name: "NFQUEUE", Rev: revision, Info: &info}
}

// explained adds what a kernel needs that does not know the rules.
func explained(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return jenner.Permanent(err, "needs a kernel with CONFIG_NFT_COMPAT and CONFIG_NETFILTER_XT_TARGET_NFQUEUE")
	}
	return err
}

// nobodysQueue is the number of a queue to which nobody listens: latency takes none from here on.
const nobodysQueue = 0xff00

// vanish makes packets disappear as a network does. A packet that is dropped on its way out would be an error of the
// program that sends it, EPERM, and TCP would not take it for lost. A queue without a listener swallows it in silence.
func vanish(direction string) []expr.Any {
	if direction == out {
		return []expr.Any{toQueue(nobodysQueue, noFlags)}
	}
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
}
