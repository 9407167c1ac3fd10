package postgres

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// exampleOf takes one document out of the examples, as it stands there but for what a test cannot wait for.
func exampleOf(t *testing.T, file, kind, name string, faster ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "examples", "documents", "postgres", file))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range strings.Split(string(raw), "---\n") {
		lines := strings.Split(document, "\n")
		if slices.Contains(lines, "kind: "+kind) && slices.ContainsFunc(lines, func(line string) bool { return line == "name: "+name }) {
			for i := 0; i < len(faster); i += 2 {
				if !strings.Contains(document, faster[i]) {
					t.Fatalf("%s %s does not say %q", kind, name, faster[i])
				}
			}
			return strings.NewReplacer(faster...).Replace(document)
		}
	}
	t.Fatalf("%s has no %s %s", file, kind, name)
	return ""
}

// poolPage is the metrics page of an application with a pool of 20 connections.
func poolPage(t *testing.T, p *lab.Postgres) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		taken, err := tryAsk(r.Context(), p, "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'front'")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var number float64
		fmt.Sscan(taken, &number)
		fmt.Fprintf(w, "db_active_connections %v\ndb_pool_utilization %v\ndb_connection_pool_utilization %v\n", number, number/20, number/20)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// healing runs Jenner on documents until the test ends.
func healing(t *testing.T, documents string) *app.App {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(documents), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Config: []string{dir}, Data: t.TempDir(), Catalog: catalog.Merge(core.Provider, Provider),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Baseline: 100 * time.Millisecond,
		Fallback: []notify.Notifier{&core.NotifierFile{Path: filepath.Join(dir, "pages")}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// ended waits for the end of the one incident in which something was done. On a machine that is slow, late answers may have
// made others.
func ended(t *testing.T, a *app.App) (incident jenner.Incident, phase jenner.Phase) {
	t.Helper()
	await.True(t, "the incident to end", func() bool {
		records, err := a.Store.List(t.Context(), loop.IncidentLine, sqlite.ListFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records {
			incident = jenner.Incident{}
			if err := json.Unmarshal(record.State, &incident); err != nil {
				t.Fatal(err)
			}
			if phase = record.Phase; record.Ended && len(incident.Runs) > 0 {
				return true
			}
		}
		return false
	})
	return incident, phase
}

func targetDocument(p *lab.Postgres, name string) string {
	return fmt.Sprintf("{kind: postgres, name: %s, port: %d, database: shop, sslmode: disable, data: %s, bin: %s, run_as: %q}",
		name, p.Port, p.Data, p.Bin, p.RunAs)
}

// TestTheRunbookOfTheExampleDrainsALeakedPool is the whole line, from the alert to the verified end: a pool of 20 of which 19
// connections leak. The blast radius of 15 % lets each pass end 3 of them.
func TestTheRunbookOfTheExampleDrainsALeakedPool(t *testing.T) {
	p := shared(t, primary)
	clientsOf(t, p, "front", 19)
	used := client(t, p, "front")
	working(t, used)
	await.True(t, "the leak to be old", func() bool {
		return ask(t, p, `SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'front' AND state = 'idle'
			AND state_change < clock_timestamp() - interval '1.2s'`) == "19"
	})
	a := healing(t, fmt.Sprintf(`kind: service
name: orders-db
targets: [%s]
metrics:
- {scrape: %s, every: 200ms}
- {postgres: {target: db}, every: 200ms}
probes: [{name: answers, sql: {}, every: 200ms}]
---
%s
---
%s`, targetDocument(p, "db"), poolPage(t, p),
		exampleOf(t, "pool.yaml", "runbook", "drain-idle-connections", "300s", "1s", "120s", "20s"),
		exampleOf(t, "pool.yaml", "policy", "drain-idle", "cooldown_after_action: 10m\n", "", "escalation_channel: pager\n", "stable_for: 500ms\n")))
	incident, phase := ended(t, a)
	if phase != jenner.PhaseResolved || len(incident.Runs) != 1 {
		t.Fatalf("%s: %s", phase, jenner.Raw(incident))
	}
	steps := incident.Runs[0].Steps
	var did terminated
	if err := json.Unmarshal(steps[1].Output, &did); err != nil {
		t.Fatal(err)
	}
	if did.Ended != 19 || did.Left != 0 || slices.Max(did.Passes) != 3 || len(did.Passes) != 7 {
		t.Errorf("the cut was %+v, want seven passes of at most 3", did)
	}
	if steps[2].Status != jenner.StepPassed || steps[3].Status != jenner.StepSkipped {
		t.Errorf("settled %s, page %s", steps[2].Status, steps[3].Status)
	}
	if count(t, p, "front") != "1" {
		t.Error("the connection that worked is gone too")
	}
}
