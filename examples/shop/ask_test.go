package shop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/internal/await"
)

func answers(t *testing.T, host string, port int) {
	t.Helper()
	await.True(t, fmt.Sprintf("port %d answers", port), func() bool { return get(t, host, port, "/healthz").code == 200 })
}

// fresh never reuses a connection, so that each request shows whether the port is open now.
var fresh = &http.Client{Timeout: await.Patience, Transport: &http.Transport{DisableKeepAlives: true}}

type reply struct {
	code int // 0: no answer
	body string
	took time.Duration
}

func get(t *testing.T, host string, port int, path string) reply {
	t.Helper()
	begun := time.Now()
	response, err := fresh.Get(at(host, port) + path)
	if err != nil {
		return reply{}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}
	}
	return reply{response.StatusCode, string(body), time.Since(begun)}
}

func post(t *testing.T, host string, port int, path string, in, out any) (code int) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	response, err := fresh.Post(at(host, port)+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

func metric(t *testing.T, host string, port int, line string) {
	t.Helper()
	await.True(t, fmt.Sprintf("port %d says %s", port, line), func() bool {
		return strings.Contains(get(t, host, port, "/metrics").body, "\n"+line+"\n")
	})
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// replace changes a file in one step, as careful writers do.
func replace(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
