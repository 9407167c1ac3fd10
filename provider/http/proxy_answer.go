package http

import (
	"bytes"
	"context"
	"io"
	"net"
	nethttp "net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// changedAnswer is the way of an answer to its caller, through the faults that change it: first its body is changed as a
// whole, then it goes out at the rate that is left, and after so many bytes it is cut off.
type changedAnswer struct {
	nethttp.ResponseWriter
	faults  *faultList
	context context.Context
	head    bool // the question was HEAD, so that no body goes out

	bodies    []proxyFault
	bandwidth []proxyFault
	abort     *proxyFault // the one that cuts off first

	status int
	kept   bytes.Buffer // the body, while it is to be changed as a whole
	plain  bool         // it is not, or not any more
	sent   int64        // bytes of the body
}

// maxChanged is the longest body that is changed. A longer one is handed on as it is, and does not count as changed.
const maxChanged = 16 << 20

// changing makes the way of an answer through the faults. The request that it gives is the one to hand on.
func (l *faultList) changing(w nethttp.ResponseWriter, request *nethttp.Request, faults []proxyFault) (*changedAnswer, *nethttp.Request) {
	answer := &changedAnswer{ResponseWriter: w, faults: l, context: request.Context(), head: request.Method == nethttp.MethodHead}
	for _, fault := range faults {
		switch fault.Kind {
		case kindBody:
			answer.bodies = append(answer.bodies, fault)
		case kindBandwidth:
			answer.bandwidth = append(answer.bandwidth, fault)
		case kindAbort:
			if answer.abort == nil || fault.After < answer.abort.After {
				answer.abort = &fault
			}
		}
	}
	answer.plain = len(answer.bodies) == 0 || answer.head
	if answer.abort != nil && answer.abort.After == 0 {
		answer.cut()
	}
	request = request.Clone(request.Context())
	if !answer.plain {
		request.Header.Set("Accept-Encoding", "identity") // a packed body has nothing in it that could be found
	}
	if len(answer.bandwidth) > 0 && request.Body != nil {
		request.Body = slowBody{request.Body, answer}
	}
	return answer, request
}

// Unwrap lets the server's own abilities be reached.
func (a *changedAnswer) Unwrap() nethttp.ResponseWriter { return a.ResponseWriter }

// WriteHeader sends the status, or keeps it until the body is known.
func (a *changedAnswer) WriteHeader(status int) {
	if status < nethttp.StatusOK && status != nethttp.StatusSwitchingProtocols {
		a.ResponseWriter.WriteHeader(status) // the answer itself is still to come
		return
	}
	if a.status != 0 {
		return
	}
	a.status = status
	if status == nethttp.StatusSwitchingProtocols || status == nethttp.StatusNoContent || status == nethttp.StatusNotModified {
		a.plain = true
	}
	if a.plain {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write sends a part of the body, or keeps it until all of it is there.
func (a *changedAnswer) Write(part []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(nethttp.StatusOK)
	}
	if a.plain {
		return a.send(part)
	}
	a.kept.Write(part)
	if a.kept.Len() > maxChanged {
		a.plain = true
		a.ResponseWriter.WriteHeader(a.status)
		if _, err := a.send(a.kept.Bytes()); err != nil {
			return 0, err
		}
		a.kept = bytes.Buffer{}
	}
	return len(part), nil
}

// FlushError sends what can be sent.
func (a *changedAnswer) FlushError() error {
	if !a.plain || a.status == 0 {
		return nil
	}
	return nethttp.NewResponseController(a.ResponseWriter).Flush()
}

// end changes the body that was kept, and sends it.
func (a *changedAnswer) end() {
	if failed := recover(); failed != nil {
		panic(failed) // the answer broke off; what is there of it is no body
	}
	if a.plain || a.status == 0 {
		return
	}
	body := a.kept.Bytes()
	for _, fault := range a.bodies {
		changed := body
		if a.faults.holds(fault.ID) {
			changed = fault.Body.apply(body)
		}
		if !bytes.Equal(body, changed) {
			a.faults.count(fault.ID, func(stats *faultStats) { stats.Changed++ })
			a.Header().Set("Content-Length", strconv.Itoa(len(changed)))
		}
		body = changed
	}
	a.plain = true
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.send(body) // the caller is gone, or the connection was cut off
}

// send sends a part of the body at the rate that is left, and cuts off where it is to be.
func (a *changedAnswer) send(part []byte) (sent int, err error) {
	if a.head {
		return a.ResponseWriter.Write(part)
	}
	for sent < len(part) {
		next := part[sent:]
		next = next[:a.portion(len(next))]
		last := a.abort != nil && a.faults.holds(a.abort.ID) && a.sent+int64(len(next)) > a.abort.After
		if last {
			next = next[:a.abort.After-a.sent]
		}
		if !a.slow(downwards, len(next)) {
			return sent, context.Cause(a.context)
		}
		n, err := a.ResponseWriter.Write(next)
		sent, a.sent = sent+n, a.sent+int64(n)
		if err != nil {
			return sent, err
		}
		if last {
			a.cut()
		}
		if len(a.bandwidth) > 0 {
			if err := a.FlushError(); err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}

// portion is how much is sent at once: no more than a twentieth of a second takes, so that it flows.
func (a *changedAnswer) portion(length int) int {
	for _, fault := range a.bandwidth {
		length = min(length, int(max(1, min(16<<10, fault.Rate/20))))
	}
	return length
}

// slow waits until so many bytes may go, and tells whether the caller is still there.
func (a *changedAnswer) slow(way, length int) bool {
	for _, fault := range a.bandwidth {
		if a.faults.holds(fault.ID) && !a.faults.waitUntil(a.context, fault.ID, a.faults.reserve(fault.ID, way, length)) {
			return false
		}
	}
	return true
}

// cut resets the caller's connection: no end of the answer, and nothing orderly at all. It does not return.
func (a *changedAnswer) cut() {
	id := a.abort.ID
	defer panic(nethttp.ErrAbortHandler)
	control := nethttp.NewResponseController(a.ResponseWriter)
	if a.status != 0 {
		_ = control.Flush() // what was let through is on its way
	}
	conn, _, err := control.Hijack()
	if err != nil {
		return // then the server at least ends the connection
	}
	defer conn.Close()
	a.faults.count(id, func(stats *faultStats) { stats.Changed++ })
	if tcp, ok := conn.(*net.TCPConn); ok {
		awaitSent(tcp)
		_ = tcp.SetLinger(0) // a reset in place of an orderly end; it also drops what was not sent yet
	}
}

// sentPatience is how long the bytes before a reset may take until they have left; a caller that takes none is not
// waited for.
const sentPatience = 200 * time.Millisecond

func awaitSent(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	for deadline := time.Now().Add(sentPatience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		left := 0
		err := raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD) })
		if err != nil || left == 0 {
			return
		}
	}
}

// slowBody is a request's body that comes at the rate that is left.
type slowBody struct {
	io.ReadCloser
	answer *changedAnswer
}

func (s slowBody) Read(into []byte) (int, error) {
	n, err := s.ReadCloser.Read(into[:s.answer.portion(len(into))])
	if n > 0 && !s.answer.slow(upwards, n) {
		return 0, context.Cause(s.answer.context)
	}
	return n, err
}
