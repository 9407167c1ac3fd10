package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/procfs"

	"github.com/jenner-heal/jenner"
)

// FuzzPidfile: a pidfile is an error, or holds one number that a process can have and nothing beside.
func FuzzPidfile(f *testing.F) {
	for _, raw := range []string{"", "12", "12\n", " 12\r\n", "+12", "-12", "0", "1", "2", "007", "12 13", "12\n13", "4194304", "4194305", "4294967298", "99999999999999999999",
		"1e3", "NaN", "\xff", "12\x00", "0x10", "12" + strings.Repeat(" ", 61) + "\n", "12" + strings.Repeat("\n", 62) + "34", "1" + strings.Repeat("0", 5000), "１２"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "shop.pid")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		pid, _, why, err := readPidfile(path)
		if err != nil {
			if pid != 0 || len(err.Error()) > 1000 || !strings.Contains(err.Error(), path) {
				t.Errorf("pid %d and the error %v", pid, err)
			}
			return
		}
		text := strings.TrimSpace(string(raw))
		if whole, err := strconv.Atoi(text); err != nil || whole != pid || pid <= 1 || pid > 1<<22 || why != "" {
			t.Errorf("%q is taken for pid %d (%q)", raw, pid, why)
		}
	})
}

// FuzzStat: whatever a process calls itself, its state and its start are read right: both are what tells processes apart.
func FuzzStat(f *testing.F) {
	for _, comm := range []string{"shop", "", ")", "(", ") Z 1", "a b", "((()))", "\n", ") Z 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 99 ", "\xff\xfe", "x) S (y"} {
		f.Add(comm, uint8(0), uint64(12345))
		f.Add(comm, uint8(4), uint64(1)<<63)
	}
	f.Fuzz(func(t *testing.T, comm string, state uint8, start uint64) {
		if len(comm) > 64 || strings.ContainsRune(comm, 0) {
			return // the kernel keeps 15 bytes, and 64 of a workqueue's name
		}
		letter := string("SRDZTtXI"[state%8])
		mount := t.TempDir()
		line := fmt.Sprintf("77 (%s) %s 1 77 77 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 %d 1000 10 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", comm, letter, start)
		if err := os.Mkdir(filepath.Join(mount, "77"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(mount, "77", "stat"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		proc, err := procfs.NewFS(mount)
		if err != nil {
			t.Fatal(err)
		}
		one, err := proc.Proc(77)
		if err != nil {
			t.Fatal(err)
		}
		stat, err := one.Stat()
		if err != nil || stat.State != letter || stat.Starttime != start || stat.Flags != 4194304 {
			t.Errorf("%q is read as state %q since %d (%v)", line, stat.State, stat.Starttime, err)
		}
		if stopped(stat) != (letter == "T" || letter == "t") {
			t.Errorf("state %s is stopped: %v", letter, stopped(stat))
		}
	})
}

// FuzzCheckpoint: any bytes for a checkpoint are an error, or a sight of a process that can be, which is written and
// read again as the same. A mark of a start names such a process or none.
func FuzzCheckpoint(f *testing.F) {
	whole := jenner.Raw(sight{identity: identity{4711, 9, "b"}, Alive: true, At: 10, AtBoot: "b"})
	f.Add([]byte(whole))
	f.Add([]byte(whole[:len(whole)-4]))
	f.Add([]byte(jenner.Raw(sight{Why: "gone", At: 10, AtBoot: "b"})))
	for _, raw := range []string{``, `null`, `{}`, `[]`, `{"alive":true}`, `{"alive":true,"pid":1,"boot":"b","at_boot":"b"}`, `{"alive":true,"pid":-1,"boot":"b","at_boot":"b"}`,
		`{"pid":4294967298,"boot":"b","at_boot":"b","alive":true}`, `{"at":-1}`, `{"at":18446744073709551616}`, `{"pid":1e3}`, `{"pid":NaN}`, "\xff", `{"pid":5,"start":"x","boot":"b"}`,
		`{"pid":5,"boot":"b","pid":1}`, `started`, strings.Repeat("[", 20000)} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if command := commandIn(raw); command != (identity{}) && (command.Pid <= 1 || command.Pid > 1<<22 || command.Boot == "" || !json.Valid(raw)) {
			t.Errorf("the mark %q names %+v", raw, command)
		}
		seen, err := before(raw)
		if err != nil {
			if seen != (sight{}) {
				t.Errorf("%v, and yet %+v", err, seen)
			}
			return
		}
		if seen.AtBoot == "" || seen.Alive && (seen.Pid <= 1 || seen.Pid > 1<<22 || seen.Boot == "") {
			t.Errorf("%q is taken for a sight of %+v", raw, seen)
		}
		if again, err := before(jenner.Raw(seen)); err != nil || again != seen {
			t.Errorf("%+v is read again as %+v (%v)", seen, again, err)
		}
	})
}

// FuzzWords: a command line is an error, or words that come back when each is put in quotes.
func FuzzWords(f *testing.F) {
	for _, line := range []string{"", " ", "shop", `sh -c 'a; b'`, `"a b" c\ d`, `'`, `"`, `\`, "a\tb", `"\$x"`, "$x", "a|b", `''`, `a '' b`, `a"b"'c'd`, "\xff", "a\nb", `"\n"`, `'\'`, "a\u00a0b", strings.Repeat("'", 999)} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if !utf8.ValidString(line) {
			words(line) // files are UTF-8; it must only not panic
			return
		}
		list, err := words(line)
		if err != nil {
			if list != nil {
				t.Errorf("%v, and yet %q", err, list)
			}
			return
		}
		var quoted []string
		size := 0
		for _, word := range list {
			quoted = append(quoted, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
			size += len(word)
		}
		again, err := words(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, list) || size > len(line) {
			t.Errorf("%q is %q, and in quotes %q (%v)", line, list, again, err)
		}
	})
}
