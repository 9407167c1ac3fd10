package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestReadiness: all checks must pass, each is told, and what lives need not be ready.
func TestReadiness(t *testing.T) {
	checks := []Check{{Name: "store", OK: true, Saw: "it can be written"}, {Name: "telemetry", OK: true, Saw: "fresh"}}
	handler := Handler(http.NotFoundHandler(), func(context.Context) []Check { return checks }, nil)
	ask := func(path string) (int, string) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		return answer.Code, answer.Body.String()
	}
	if code, text := ask("/readyz"); code != 200 || text != "[+] store: it can be written\n[+] telemetry: fresh\n" {
		t.Errorf("where all is well: %d %s", code, text)
	}
	checks[1] = Check{Name: "telemetry", Saw: "silent"}
	if code, text := ask("/readyz"); code != 503 || text != "[+] store: it can be written\n[-] telemetry: silent\n" {
		t.Errorf("where one check fails: %d %s", code, text)
	}
	if code, _ := ask("/healthz"); code != 200 {
		t.Errorf("what is not ready does not live: %d", code)
	}
}
