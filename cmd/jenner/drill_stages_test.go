package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// stagedDrill begins with a part of the traffic. What is slow is the partner behind a real proxy.
const stagedDrill = `
kind: experiment
name: partner-slower
hypothesis: when the partner is slow for most, and then for all, checkout switches to the quotes it has
service: checkout
faults: [{fault: latency, target: partner/partner-api, params: {delay: 600ms}}]
stages:
- {name: most, share: 80%, by: traffic, steady_for: 1s}
- {name: all, share: 100%, by: traffic, steady_for: 1s}
expect: {detected_within: 20s, cause: slow-dependency, runbook: use-cached-quotes, recovered_within: 40s}
timeout: 2m
`

// TestADrillInStagesOfTraffic: the first stage delays a part of the requests through the proxy, the second one all, and each
// is judged by itself.
func TestADrillInStagesOfTraffic(t *testing.T) {
	dir, err := makeWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stopWorld(context.Background(), dir); err != nil {
			t.Errorf("cannot end the shop: %v", err)
		}
		os.RemoveAll(dir)
	})
	file := filepath.Join(t.TempDir(), "stages.yaml")
	if err := os.WriteFile(file, []byte(stagedDrill), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := exec.Command(filepath.Join(dir, "jenner"), "drill", file, "--config", dir, "--data", filepath.Join(dir, "data"),
		"--baseline", "5s", "--json").CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, raw)
	}
	store, err := sqlite.Open(filepath.Join(dir, "data"), sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	records, err := store.List(t.Context(), loop.DrillLine, sqlite.ListFilter{})
	if err != nil || len(records) != 1 {
		t.Fatalf("%d drills, %v", len(records), err)
	}
	var drill jenner.Drill
	if err := json.Unmarshal(records[0].State, &drill); err != nil {
		t.Fatal(err)
	}
	timeline, err := store.Timeline(t.Context(), loop.DrillLine, records[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	var shares []string
	for _, entry := range timeline {
		var fault jenner.FaultRecord
		if entry.Kind == "inject" && json.Unmarshal(entry.Data, &fault) == nil {
			shares = append(shares, string(fault.Params["share"]))
		}
	}
	if got := strings.Join(shares, " "); got != `"80%" "100%"` {
		t.Errorf("the faults were made with the shares %s", got)
	}
	for i, stage := range []string{"most", "all"} {
		if i >= len(drill.Results) || drill.Results[i].Stage != stage || drill.Results[i].Verdict != jenner.VerdictProven {
			t.Errorf("stage %s: %+v", stage, drill.Results)
		}
	}
}
