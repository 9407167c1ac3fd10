package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

// FuzzJournal: whatever stands in one file of the journal, the other faults are given all the same, and the file is
// an error that names it or the fault whose file it is. Nothing that is read makes the journal touch a file outside.
func FuzzJournal(f *testing.F) {
	whole := jenner.Raw(jenner.FaultRecord{ID: "f-1", Drill: "d", Fault: "process.kill", Params: jenner.Params{"a": jenner.Raw(1)},
		Checkpoint: jenner.Raw("x"), InjectedAt: time.Unix(1, 0).UTC(), Until: time.Unix(9, 0).UTC()})
	f.Add("f-1.json", []byte(whole))
	f.Add("f-1.json", []byte(whole[:len(whole)/2]))
	f.Add("f-2.json", []byte(whole)) // somebody copied it
	f.Add(".json", []byte(`{}`))
	f.Add("f-1.json", []byte(`{"id":"../../outside"}`))
	f.Add("f-1.json", []byte(`{"id":"f-1","id":"../outside"}`))
	for _, raw := range []string{``, `null`, `{}`, `[]`, `NaN`, "\xff", `{"id":"f-1","until":"9999-12-31T23:59:59Z"}`, `{"id":"f-1","until":1e400}`,
		`{"id":"f-1","params":{"a":-1,"a":{"b":[]}}}`, `{"id":"f-1","ID":""}`, strings.Repeat("[", 20000), `{"id":"f-1"} {}`} {
		f.Add("f-1.json", []byte(raw))
		f.Add("..json", []byte(raw))
		f.Add("f-1.json.part", []byte(raw))
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		if name != filepath.Base(name) || name == "good.json" || len(name) > 200 {
			return
		}
		root := t.TempDir()
		outside := filepath.Join(root, "outside.json")
		journal, err := OpenJournal(filepath.Join(root, "journal", "here"))
		good := jenner.FaultRecord{ID: "good", InjectedAt: time.Unix(5, 0).UTC(), Until: time.Unix(6, 0).UTC()}
		if err == nil {
			err = journal.Put(good, false)
		}
		for _, step := range []error{err, os.WriteFile(outside, nil, 0o600)} {
			if step != nil {
				t.Fatal(step)
			}
		}
		if os.WriteFile(filepath.Join(root, "journal", "here", name), raw, 0o600) != nil {
			return // no name for a file
		}
		records, err := journal.Open()
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %q: %v", name, err)
		}
		if want := strings.HasSuffix(name, ".json"); want != (err != nil || len(records) == 2) || err != nil && len(records) != 1 {
			t.Fatalf("%d records and the error %v", len(records), err)
		}
		seen := false
		for _, record := range records {
			if record.ID == good.ID {
				seen = cmp.Diff(good, record) == ""
				continue
			}
			if record.ID+".json" != name {
				t.Fatalf("file %q gives fault %q", name, record.ID)
			}
			putAgain(t, journal, record)
		}
		if !seen {
			t.Errorf("the other fault is lost: %+v", records)
		}
		if _, err := os.Stat(outside); err != nil {
			t.Errorf("a file outside of the journal: %v", err)
		}
	})
}

// putAgain writes a record that was read, reads it as the same, and forgets it.
func putAgain(t *testing.T, journal *Journal, record jenner.FaultRecord) {
	t.Helper()
	if err := journal.Put(record, false); err != nil {
		t.Fatal(err)
	}
	again, err := journal.Open()
	if err != nil || len(again) != 2 {
		t.Fatalf("put again: %v, %v", again, err)
	}
	same := false
	for _, other := range again {
		same = same || json.Valid(jenner.Raw(other)) && string(jenner.Raw(other)) == string(jenner.Raw(record))
	}
	if !same {
		t.Errorf("%+v is read again as %+v", record, again)
	}
	if err := journal.Remove(record.ID); err != nil {
		t.Fatal(err)
	}
	if left, err := journal.Open(); err != nil || len(left) != 1 {
		t.Errorf("removed, and there are %v, %v", left, err)
	}
}
