package shop

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
)

// fake stands in for a role at its own port and returns how many orders reached it. Its handler may wait for the end
// of the request.
func fake(t *testing.T, host string, port int, handle func(http.ResponseWriter, *http.Request, order)) *atomic.Int64 {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o order
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
				t.Errorf("fake at port %d: %v", port, err)
			}
			seen.Add(1)
		}
		handle(w, r, o)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return &seen
}
