package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// TestDiskFull: a full disk stops what must be written down first, and nothing else. It is said what to do; what was kept
// stays, and when there is room again all goes on, from where it stood.
func TestDiskFull(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	d := newSmallDisk(t, w, 300)
	d.tell(diskServe)
	d.until("jenner has started the service", func() bool { return d.count("resolved:") == 1 && serves(w.healthURL()) })

	t.Log("the disk is full before there is an incident")
	ballast := d.fill()
	broken := w.signal(t, syscall.SIGKILL)
	d.until("it is said that there is no room", func() bool { return d.said("cannot open an incident") && d.said("make room") })
	d.wantStarts(1)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.until("it is healed when there is room again", func() bool { return d.count("resolved:") == 2 && w.pid() != broken })
	d.wantStarts(2)

	t.Log("the disk is full in the middle of an incident, which the kill switch keeps from acting")
	if err := os.WriteFile(d.on(app.KillSwitchFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken = w.signal(t, syscall.SIGKILL)
	d.until("the guard says no", func() bool { return d.said("guard hold") })
	ballast = d.fill()
	if err := os.Remove(d.on(app.KillSwitchFile)); err != nil {
		t.Fatal(err)
	}
	d.until("no step is made without room for it", func() bool { return d.said("a step could not be made") })
	d.wantStarts(2)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.until("it is healed when there is room again", func() bool { return d.count("resolved:") == 3 && w.pid() != broken })
	d.wantStarts(3)

	d.tell(diskStop)
	if code := d.ended(); code != "0" {
		t.Errorf("it ended with exit code %s", code)
	}
	kept := d.copied()
	if records := kept.incidents(t); len(records) != 3 || !kept.noneOpen(t) {
		t.Errorf("%d incidents are kept, not three that have ended: %+v", len(records), records)
	}
	kept.verified(t)
}

// TestStartOnAFullDisk: it is refused with what to do.
func TestStartOnAFullDisk(t *testing.T) {
	d := newSmallDisk(t, newWorld(t, fmt.Sprintf(healing, "", "200ms")), 20)
	d.fill()
	d.tell(diskServe)
	d.wantRefused("no space left on device")
}

// TestReadOnlyDisk: at the start it is refused with what to do. One that becomes so while jenner runs does not keep it from
// healing with what it has open.
func TestReadOnlyDisk(t *testing.T) {
	t.Run("at the start", func(t *testing.T) {
		d := newSmallDisk(t, newWorld(t, fmt.Sprintf(healing, "", "200ms")), 300)
		d.tell(diskReadOnly)
		d.tell(diskServe)
		d.wantRefused("read-only file system", "--data")
	})
	t.Run("while it runs", func(t *testing.T) {
		w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
		d := newSmallDisk(t, w, 300)
		d.tell(diskServe)
		d.until("jenner has started the service", func() bool { return d.count("resolved:") == 1 && serves(w.healthURL()) })
		d.tell(diskReadOnly)
		broken := w.signal(t, syscall.SIGKILL)
		d.until("it is healed all the same", func() bool { return d.count("resolved:") == 2 && w.pid() != broken })
		d.tell(diskWritable)
		d.tell(diskStop)
		if code := d.ended(); code != "0" {
			t.Errorf("it ended with exit code %s", code)
		}
		kept := d.copied()
		if records := kept.incidents(t); len(records) != 2 || !kept.noneOpen(t) {
			t.Errorf("%d incidents are kept, not two that have ended: %+v", len(records), records)
		}
		kept.verified(t)
	})
}

// wantStarts wants that the service's start command was run that often.
func (d *smallDisk) wantStarts(want int) {
	d.t.Helper()
	if starts := d.starts(d.t); starts != want {
		d.t.Errorf("the service was started %d times, not %d\n%s", starts, want, d.out.String())
	}
}

// wantRefused wants that jenner ends with exit code 1 and says these words.
func (d *smallDisk) wantRefused(words ...string) {
	d.t.Helper()
	if code := d.ended(); code != fmt.Sprint(exitNo) {
		d.t.Errorf("it ended with exit code %s, not %d", code, exitNo)
	}
	for _, word := range words {
		if !strings.Contains(strings.ToLower(d.out.String()), word) {
			d.t.Errorf("it does not say %q:\n%s", word, d.out.String())
		}
	}
}

// TestDamagedPage writes over one page of the database, each in turn that holds something: jenner refuses to start, names
// the file, and says what to do. It is never started on what it cannot trust.
func TestDamagedPage(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	if code := c.stop(); code != 0 {
		t.Fatalf("jenner ended with %d:\n%s", code, c.out.String())
	}
	path := filepath.Join(w.data, sqlite.FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := int(binary.BigEndian.Uint16(whole[16:])) // as the file's header says
	if len(whole) < 10*page {
		t.Fatalf("the database has only %d pages of %d bytes", len(whole)/page, page)
	}
	empty := emptyPages(whole, page)
	for number := 1; number*page <= len(whole); number++ {
		if empty[number] {
			continue
		}
		damaged := bytes.Clone(whole)
		copy(damaged[(number-1)*page:number*page], bytes.Repeat([]byte("damaged!"), page/8))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		said, code := w.tryServe(t)
		if code != exitNo || !strings.Contains(said, path) || !strings.Contains(said, "backup") {
			t.Errorf("with page %d damaged: exit code %d\n%s", number, code, said)
		}
	}
}

// emptyPages are those that hold nothing: the leaves of the list of free pages, see "The Freelist" in
// https://www.sqlite.org/fileformat.html.
func emptyPages(database []byte, page int) map[int]bool {
	empty := map[int]bool{}
	number := func(at int) int { return int(binary.BigEndian.Uint32(database[at:])) }
	for trunk := number(32); trunk != 0; trunk = number((trunk - 1) * page) {
		at := (trunk-1)*page + 8
		for leaf := range number(at - 4) {
			empty[number(at+4*leaf)] = true
		}
	}
	return empty
}

// tryServe starts jenner serve over the world and waits for its end, or until it watches; -1 then.
func (w testWorld) tryServe(t *testing.T) (said string, code int) {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(filepath.Join(w.files(), "jenner"), "serve", w.files(), "--data", w.data, "--listen", "")}
	c.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = c.cmd.Wait()
		close(ended)
	}()
	await.True(t, "jenner serve watches or ends", func() bool {
		select {
		case <-ended:
			return true
		default:
			return strings.Contains(c.out.String(), "watching")
		}
	})
	_ = c.cmd.Process.Kill() // where it watches
	<-ended
	return c.out.String(), c.cmd.ProcessState.ExitCode()
}

func (d *smallDisk) count(text string) int { return strings.Count(d.out.String(), text) }
