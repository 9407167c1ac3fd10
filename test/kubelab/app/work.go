package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// work takes items, has a number of them under way, and keeps a journal of what it takes and what it has done. What was
// taken and not done by an earlier process is lost: that one was killed.
type work struct {
	dir   string
	takes time.Duration

	stop    chan struct{}
	workers sync.WaitGroup

	mu                sync.Mutex
	journal           *os.File
	taken, done, lost int
}

func newWork(dir string, takes time.Duration) *work {
	return &work{dir: dir, takes: takes, stop: make(chan struct{})}
}

// begin starts as many workers as items are to be under way.
func (w *work) begin(items int) error {
	if items == 0 {
		return nil
	}
	path := filepath.Join(w.dir, "journal")
	if err := w.read(path); err != nil {
		return err
	}
	var err error
	if w.journal, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	host, _ := os.Hostname()
	for worker := range items {
		w.workers.Go(func() { w.worker(fmt.Sprintf("%s-%d-%d", host, time.Now().UnixNano(), worker)) })
	}
	return nil
}

// read counts what an earlier process has lost.
func (w *work) read(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	open := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		verb, item, _ := strings.Cut(lines.Text(), " ")
		if verb == "taken" {
			open[item] = true
		} else {
			delete(open, item)
		}
	}
	if w.lost = len(open); w.lost > 0 {
		log.Printf("%d items of work were lost by an earlier process", w.lost)
	}
	return nil
}

func (w *work) worker(name string) {
	for item := 0; ; item++ {
		select {
		case <-w.stop:
			return
		default:
		}
		w.note("taken", fmt.Sprintf("%s-%d", name, item), &w.taken)
		time.Sleep(w.takes) // the work; it is not broken off
		w.note("done", fmt.Sprintf("%s-%d", name, item), &w.done)
	}
}

func (w *work) note(verb, item string, counter *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*counter++
	if _, err := fmt.Fprintln(w.journal, verb, item); err != nil {
		log.Print(err)
	}
}

// finish takes nothing new, waits for what is under way, and returns how many items were done in all.
func (w *work) finish() int {
	close(w.stop)
	w.workers.Wait()
	_, done, _ := w.counts()
	return done
}

func (w *work) counts() (taken, done, lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken, w.done, w.lost
}
