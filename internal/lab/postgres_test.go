package lab

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPostgres(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	primary, err := StartPostgres(ctx, PostgresOptions{Name: "one", Careless: true, Settings: map[string]string{"log_line_prefix": "it's %p "}})
	if err != nil {
		t.Fatal(err)
	}
	standby, err := StartPostgres(ctx, PostgresOptions{Name: "two", StandbyOf: primary})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Postgres{standby, primary} {
		t.Cleanup(func() {
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(p.Dir); !os.IsNotExist(err) {
				t.Errorf("%s is left behind: %v", p.Dir, err)
			}
			if pid, runs := p.Pid(); runs {
				t.Errorf("pid %d is left behind", pid)
			}
		})
	}
	if !strings.Contains(primary.Said(), "it's ") {
		t.Errorf("the setting is not in force: %s", primary.Said())
	}
	if !strings.Contains(standby.Said(), "entering standby mode") {
		t.Errorf("the standby is none: %s", standby.Said())
	}
	first, runs := primary.Pid()
	if !runs {
		t.Fatal("the primary does not run")
	}
	if err := primary.Stop(ctx, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if pid, runs := primary.Pid(); runs {
		t.Fatalf("pid %d still runs", pid)
	}
	if err := primary.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if again, runs := primary.Pid(); !runs || again == first {
		t.Errorf("pid %d after the start, %d before the stop", again, first)
	}
}
