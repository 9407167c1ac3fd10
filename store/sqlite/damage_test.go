package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/store/sqlite"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// fill stores some of everything, enough that each table has a tree of pages.
func fill(store *sqlite.Store) error {
	for i := range 120 {
		now := noon.Add(time.Duration(i) * time.Minute)
		id, service := fmt.Sprintf("i-%03d", i), fmt.Sprintf("service-%d", i%7)
		r := jenner.Record{Line: "incident", ID: id, Subject: service, Phase: jenner.PhaseActing, Created: now, Updated: now,
			Due: now.Add(time.Hour), State: jenner.Raw(map[string]string{"id": id, "text": strings.Repeat(id+" ", 30+i*i%900)})}
		entry := jenner.LedgerEntry{ID: id + "/r1", Kind: jenner.LedgerAction, At: now, Until: now.Add(time.Hour), By: id, Service: service,
			Target: jenner.TargetRef{Kind: "process", Name: service}, Policy: "careful", Runbook: "restart"}
		change := jenner.Change{Record: r, Ledger: []jenner.LedgerEntry{entry},
			Timeline:   []jenner.Entry{{At: now, Kind: "step", Text: "looked at " + service}, {At: now, Kind: "step", Data: jenner.Raw(r)}},
			Audit:      []jenner.AuditEntry{{At: now, Kind: "decision", Subject: id, Actor: "jenner", Data: jenner.Raw(entry)}},
			Outcomes:   []jenner.Outcome{{Incident: id, Service: service, At: now}},
			Proofs:     []jenner.Proof{{Drill: id, Service: service, At: now, Versions: map[string]string{"runbook": id}}},
			Judgements: []jenner.Judgement{{Incident: id, Policy: "careful", Service: service, At: now, Right: jenner.RightDecision}}}
		intent := jenner.Intent{Key: id + "/r1/1", By: id, Action: "process.restart", Service: service, At: now}
		_, _, begun := store.Begin(context.Background(), intent)
		errs := []error{store.Commit(context.Background(), change), begun,
			store.PutVote(context.Background(), jenner.Vote{Request: id + "/a1", Person: "ada", Yes: true, At: now, Reason: service}),
			store.PutValue(context.Background(), valueKey(id), []byte(strings.Repeat(id, 20)))}
		if intent.State = jenner.IntentDone; i%3 > 0 {
			errs = append(errs, store.Finish(context.Background(), intent))
		}
		if r.Version, r.Ended = 1, true; i%2 == 0 {
			errs = append(errs, store.Commit(context.Background(), jenner.Change{Record: r}))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

// valueKey is long, so that the index of keys has more than one level.
func valueKey(id string) string { return "value of " + id + strings.Repeat(" and on", 40) }

// everythingIn reads all that a store answers, each answer by what was asked. An error is told as such.
func everythingIn(store *sqlite.Store) (answers map[string]string, errs map[string]error) {
	answers, errs = map[string]string{}, map[string]error{}
	ctx := context.Background()
	keep := func(what string, value any, err error) {
		if err != nil {
			errs[what] = err
			return
		}
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		answers[what] = string(text)
	}
	ask := func(what string, read func() (any, error)) { value, err := read(); keep(what, value, err) }
	ids, next, err := store.Due(ctx, "incident", noon.Add(2*time.Hour), 30)
	keep("due", []any{ids, next}, err)
	for i := range 120 {
		id := fmt.Sprintf("i-%03d", i)
		ask("record "+id, func() (any, error) { return store.Load(ctx, "incident", id) })
		ask("timeline "+id, func() (any, error) { return store.Timeline(ctx, "incident", id) })
		ask("intent "+id, func() (any, error) { return store.Intent(ctx, id+"/r1/1") })
		ask("votes "+id, func() (any, error) { return store.Votes(ctx, id+"/a1", "", "") })
		ask("value "+id, func() (any, error) { return store.Value(ctx, valueKey(id)) })
	}
	ask("list", func() (any, error) { return store.List(ctx, "incident", sqlite.ListFilter{}) })
	ask("open", func() (any, error) {
		return store.List(ctx, "incident", sqlite.ListFilter{OpenOnly: true, Since: noon})
	})
	ask("ledger", func() (any, error) { return store.Ledger(ctx, noon) })
	ask("ledger of a service", func() (any, error) { return store.LedgerOf(ctx, "service-3", noon, noon.Add(time.Hour)) })
	ask("ledger of a runbook", func() (any, error) { return store.LedgerOfRunbook(ctx, "restart", 50) })
	ask("ledger of a policy", func() (any, error) { return store.LedgerOfPolicy(ctx, "careful", noon.Add(time.Hour)) })
	ask("outcomes", func() (any, error) { return store.Outcomes(ctx, noon.Add(time.Hour)) })
	ask("proofs", func() (any, error) { return store.Proofs(ctx) })
	ask("judgements", func() (any, error) { return store.Judgements(ctx, "careful", noon.Add(time.Hour)) })
	ask("open intents", func() (any, error) { return store.OpenIntents(ctx) })
	ask("audit entries", func() (any, error) { return store.AuditEntries(ctx, 0, 1000) })
	ask("audit log", func() (any, error) { return store.VerifyAudit(ctx) })
	return answers, errs
}

// copied gives a directory of its own with the files of another.
func copied(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "audit.key"), 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return dir
}

// wantNeverWrong opens a damaged directory and takes refusals and right answers, but no wrong one. It tells which it was.
func wantNeverWrong(t *testing.T, what, dir string, right map[string]string) (refused bool) {
	t.Helper()
	store, err := sqlite.Open(dir, sqlite.Options{Lock: true})
	if err != nil {
		wantAdvice(t, what, dir, err)
		return true
	}
	answers, errs := everythingIn(store)
	for asked, answer := range answers {
		if answer != right[asked] {
			t.Errorf("%s: silently wrong: %s:\n%s", what, asked, cmp.Diff(right[asked], answer))
		}
	}
	for _, err := range errs {
		wantAdvice(t, what, dir, err)
	}
	if err := store.Close(); err != nil {
		wantAdvice(t, what, dir, err)
	}
	return len(errs) > 0
}

func wantAdvice(t *testing.T, what, dir string, err error) {
	t.Helper()
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("%s: the error does not name the directory: %v", what, err)
	}
	marks := []string{"backup", "newer jenner", "not one of Jenner's"} // a bit may turn the marks of the file into others
	if !slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(err.Error(), mark) }) {
		t.Errorf("%s: the error does not say what to do: %v", what, err)
	}
	if n := strings.Count(err.Error(), "the file is damaged"); n > 1 {
		t.Errorf("%s: the error says %d times what to do: %v", what, n, err)
	}
}

// pagesByKind are the numbers of a database's pages, from 1 on, by what they are: leaf, internal or overflow, of a table
// or an index by its name.
func pagesByKind(t *testing.T, path string) map[string][]int {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(`SELECT d.pageno, d.pagetype, d.name, coalesce(s.type, 'table') FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name`)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]int{}
	for rows.Next() {
		var number int
		var page, name, of string
		if err := rows.Scan(&number, &page, &name, &of); err != nil {
			t.Fatal(err)
		}
		kinds[of+" "+page+" "+name] = append(kinds[of+" "+page+" "+name], number)
	}
	if err := errors.Join(rows.Err(), rows.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	return kinds
}

const pageSize = 4096

// spoil writes over a part of a file.
func spoil(t *testing.T, path string, offset int64, change func(part []byte), length int) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, length)
	_, reading := file.ReadAt(part, offset)
	change(part)
	_, writing := file.WriteAt(part, offset)
	if err := errors.Join(reading, writing, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// damageOf is one of three damages in turn, somewhere in a page.
func damageOf(chance *rand.Rand, turn int, header bool) (how string, offset int64, length int, change func(part []byte)) {
	bit := func(part []byte) { part[0] ^= 1 << chance.IntN(8) }
	switch {
	case header:
		return "a bit", chance.Int64N(100), 1, bit
	case turn%3 == 0:
		return "a bit", chance.Int64N(pageSize), 1, bit
	case turn%3 == 1:
		return "a sector", 512 * chance.Int64N(8), 512, func(part []byte) { clear(part) }
	}
	return "the page", 0, pageSize, func(part []byte) {
		for i := range part {
			part[i] = byte(chance.Uint32())
		}
	}
}

// TestOneDamagedPageIsNeverSilentlyWrong flips one bit, zeroes a sector or fills a page, in one page of every kind of every
// table and index.
func TestOneDamagedPageIsNeverSilentlyWrong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	store := open(t, dir, sqlite.Options{})
	if err := fill(store); err != nil {
		t.Fatal(err)
	}
	right, errs := everythingIn(store)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	kinds := pagesByKind(t, filepath.Join(dir, sqlite.FileName))
	kinds["header"] = []int{1}
	for _, kind := range []string{"table leaf records", "table internal records", "table overflow records", "index leaf records_due", "index internal sqlite_autoindex_settings_1"} {
		if kinds[kind] == nil {
			t.Errorf("there is no page %q to damage", kind)
		}
	}
	chance := rand.New(rand.NewPCG(1, 2))
	refused, fine := 0, 0
	names := make([]string, 0, len(kinds))
	for kind := range kinds {
		names = append(names, kind)
	}
	slices.Sort(names)
	for i, kind := range names {
		page := kinds[kind][chance.IntN(len(kinds[kind]))]
		how, offset, length, change := damageOf(chance, i, kind == "header")
		spoilt := copied(t, dir)
		spoil(t, filepath.Join(spoilt, sqlite.FileName), int64(page-1)*pageSize+offset, change, length)
		if wantNeverWrong(t, fmt.Sprintf("%s at %d of page %d, %s", how, offset, page, kind), spoilt, right) {
			refused++
		} else {
			fine++
		}
	}
	t.Logf("%d kinds of pages; %d damages were refused, %d did not matter", len(kinds), refused, fine)
	if refused < fine {
		t.Error("hardly anything was noticed")
	}
}

// TestTreeThatWouldBeBuiltUpon spoils one hash of the audit log that the next entry needs, in a way that no check of pages
// sees: going on would put it into every later head.
func TestTreeThatWouldBeBuiltUpon(t *testing.T) {
	dir := written(t)
	direct(t, dir, "UPDATE audit_hashes SET hash = zeroblob(32) WHERE n = (SELECT max(n) FROM audit_hashes)")
	store, err := sqlite.Open(dir, sqlite.Options{})
	if err == nil {
		t.Fatal(errors.Join(errors.New("it was opened"), store.Close()))
	}
	wantAdvice(t, "a hash", dir, err)
}
