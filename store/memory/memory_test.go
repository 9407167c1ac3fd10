package memory_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jenner-heal/jenner"
	storetest "github.com/jenner-heal/jenner/conformance/store"
	"github.com/jenner-heal/jenner/store/memory"
)

// readable gives the audit log in parts, as the suite reads it.
type readable struct{ *memory.Store }

func (r readable) AuditEntries(_ context.Context, from int64, limit int) ([]jenner.AuditEntry, error) {
	all := r.Store.AuditEntries()
	return all[min(int(from), len(all)):min(int(from)+limit, len(all))], nil
}

func TestConformance(t *testing.T) {
	var mu sync.Mutex
	stores := map[string]*memory.Store{}
	storetest.Run(t, func(_ *testing.T, dir string) storetest.Store {
		mu.Lock()
		defer mu.Unlock()
		if stores[dir] == nil {
			stores[dir] = memory.New(nil)
		}
		return readable{stores[dir].Reopen()}
	})
}
