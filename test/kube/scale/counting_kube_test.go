//go:build kube

package scale

import (
	"cmp"
	"encoding/pem"
	"fmt"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// counter stands before the API server and counts what is asked of it, as nobody who is counted could.
type counter struct {
	kubeconfig string // of who is to be counted

	mu    sync.Mutex
	asked tally
}

// tally is how often something was asked, such as "list pods".
type tally map[string]int

// counting starts a counter before the cluster, with TLS and HTTP/2 as the API server has them.
func (w *world) counting(b *testing.B) *counter {
	b.Helper()
	to, err := url.Parse(w.config.Host)
	if err != nil {
		b.Fatal(err)
	}
	transport, err := rest.TransportFor(w.config)
	if err != nil {
		b.Fatal(err)
	}
	c := &counter{asked: tally{}, kubeconfig: filepath.Join(b.TempDir(), "kubeconfig")}
	passing := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, ErrorLog: log.New(b.Output(), "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorHandler: func(answer http.ResponseWriter, request *http.Request, err error) {
			if request.Context().Err() == nil { // who asked waits for the answer
				b.Logf("%s was not passed on: %v", asked(request), err)
			}
			answer.WriteHeader(http.StatusBadGateway)
		}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		c.count(request)
		passing.ServeHTTP(answer, request)
	}))
	server.EnableHTTP2, server.Config.ErrorLog = true, log.New(b.Output(), "", 0)
	server.StartTLS()
	b.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	made := api.Config{CurrentContext: "counted", Contexts: map[string]*api.Context{"counted": {Cluster: "counted", AuthInfo: "nobody"}},
		Clusters:  map[string]*api.Cluster{"counted": {Server: server.URL, CertificateAuthorityData: authority}},
		AuthInfos: map[string]*api.AuthInfo{"nobody": {}}}
	if err := clientcmd.WriteToFile(made, c.kubeconfig); err != nil {
		b.Fatal(err)
	}
	return c
}

func (c *counter) count(request *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[asked(request)]++
}

// since is what was asked since an earlier tally.
func (c *counter) since(before tally) tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := tally{}
	for what, times := range c.asked {
		if times > before[what] {
			after[what] = times - before[what]
		}
	}
	return after
}

func (t tally) sum() int {
	sum := 0
	for _, times := range t {
		sum += times
	}
	return sum
}

// String has the most frequent first.
func (t tally) String() string {
	var lines []string
	for _, what := range slices.SortedFunc(maps.Keys(t), func(a, b string) int { return cmp.Or(t[b]-t[a], strings.Compare(a, b)) }) {
		lines = append(lines, fmt.Sprintf("%d %s", t[what], what))
	}
	return strings.Join(lines, ", ")
}

// asked is the verb and the resource of a request, as the API server calls them: "watch pods", "create pods/eviction".
func asked(request *http.Request) string {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2: // api/v1/…
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3: // apis/apps/v1/…
		parts = parts[3:]
	default:
		return strings.ToLower(request.Method) + " " + request.URL.Path
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	resource, named := parts[0], len(parts) > 1
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	verb := strings.ToLower(request.Method)
	switch watches := request.URL.Query().Get("watch"); {
	case watches == "true" || watches == "1":
		verb = "watch"
	case request.Method == http.MethodGet && !named:
		verb = "list"
	case request.Method == http.MethodPost:
		verb = "create"
	}
	return verb + " " + resource
}
