package shop

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// declareLedger is the ledger: it writes the id of each order into the book once, however often it is told.
func declareLedger(fs *flag.FlagSet) func(*process) error {
	path := fs.String("book", "", "`FILE` with one order id a line; without it the book is in memory only")
	return func(p *process) error {
		book, err := openBook(*path)
		if err != nil {
			return err
		}
		p.closed = book.close
		handlePost(p, "/entries", func(_ context.Context, in payment) (receipt, error) {
			if err := in.check(); err != nil {
				return receipt{}, refused(err)
			}
			repeated, err := book.post(in.ID)
			return receipt{ID: in.ID, Repeated: repeated}, err
		})
		return nil
	}
}

// book is an append-only file of order ids, and the same ids in memory. A posted id survives the death of the process,
// not of the machine: nothing is synced. It may be used concurrently.
type book struct {
	mu     sync.Mutex
	posted map[string]struct{}
	file   *os.File // nil: memory only
	size   int64    // of the complete lines
}

// openBook loads the book at path, or starts it. A last line without its end was never acknowledged and is cut off.
func openBook(path string) (*book, error) {
	b := &book{posted: map[string]struct{}{}}
	if path == "" {
		return b, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	b.file = file
	if err := b.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("book %s: %w", path, err), file.Close())
	}
	return b, nil
}

func (b *book) load() error {
	content, err := io.ReadAll(b.file)
	if err != nil {
		return err
	}
	complete := content[:bytes.LastIndexByte(content, '\n')+1]
	for id := range strings.Lines(string(complete)) {
		b.posted[strings.TrimSpace(id)] = struct{}{}
	}
	b.size = int64(len(complete))
	return b.file.Truncate(b.size)
}

// post writes id down unless it stands in the book already. After an error the book is as it was before.
func (b *book) post(id string) (repeated bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, repeated := b.posted[id]; repeated {
		return true, nil
	}
	if b.file != nil {
		if err := b.write(id + "\n"); err != nil {
			return false, err
		}
	}
	b.posted[id] = struct{}{}
	return false, nil
}

func (b *book) write(line string) error {
	n, err := b.file.WriteString(line)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, b.file.Truncate(b.size))
		}
		return err
	}
	b.size += int64(n)
	return nil
}

func (b *book) close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}
