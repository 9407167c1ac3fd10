package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"

	"github.com/jenner-heal/jenner/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// Checking takes 2 to 3 ms for each MB on an idle machine, five times that on a busy one, and everybody waits for it: who
// goes to work on the database may wait a second or three, and who writes a word beside it, such as the stop, must not
// notice it. Larger ones are checked by Check only.
const (
	checkedAlone  = 256 << 20
	checkedBeside = 2 << 20
)

// findings is how many things that are wrong an error tells; more do not help anybody.
const findings = 5

// Check reads the whole database and holds every index against its table and every page against its neighbours; the
// error says what is wrong and what to do. Opening does the same with databases of up to 256 MB where Options.Lock is
// given, and of up to 2 MB otherwise. Others may go on reading and writing meanwhile.
//
// It does not look at values: whatever is read is held against its sum anyway. VerifyAudit looks at the audit log.
func (s *Store) Check(ctx context.Context) error {
	var wrong []string
	err := s.ask(ctx, s.pool, "checking", func(row *sql.Rows) error {
		var text string
		err := row.Scan(&text)
		if text != "ok" {
			wrong = append(wrong, strings.ReplaceAll(text, "\n", ", "))
		}
		return err
	}, fmt.Sprintf("PRAGMA integrity_check(%d)", findings))
	if err == nil && len(wrong) > 0 {
		err = s.explain("checking", fmt.Errorf("%w: %s", errDamaged, strings.Join(wrong, "; ")))
	}
	return err
}

// checkAtOpening is Check, unless it would take too long.
func (s *Store) checkAtOpening(lock bool) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	most := int64(checkedBeside)
	if lock {
		most = checkedAlone
	}
	if info.Size() > most {
		return nil
	}
	return s.Check(context.Background())
}

// checkTree holds the hashes that the next entries will be built upon against the head that was signed: a wrong one
// would go into every later head.
func checkTree(head audit.Head, reader auditReader) error {
	if head.N == 0 {
		return nil
	}
	root, err := tlog.TreeHash(head.N, tlog.HashReaderFunc(reader.ReadHashes))
	if err != nil {
		return fmt.Errorf("%w: the hashes of the audit log: %w", errDamaged, err)
	}
	if root != head.Hash {
		return fmt.Errorf("%w: the hashes of the audit log do not give what its head says", errDamaged)
	}
	return nil
}
