package netspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
)

func namespace(t *testing.T) *lab.Namespace {
	t.Helper()
	n, err := lab.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func opened(t *testing.T, where Where) *Space {
	t.Helper()
	space, err := where.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { space.Close() })
	return space
}

// dropping is a chain that drops nothing that anybody sends.
func dropping() Chain {
	return Chain{Name: "in", Type: nftables.ChainTypeFilter, Hook: nftables.ChainHookInput, Rules: []Rule{{
		Match: []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{250}}},
		Then:  []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}},
	}}}
}

func until(t *testing.T, what string, holds func() (bool, error)) {
	t.Helper()
	await.True(t, what, func() bool {
		yes, err := holds()
		if err != nil {
			t.Fatal(err)
		}
		return yes
	})
}

// The lease ends by itself, and renewing it works before and after that.
func TestALeaseEndsAndIsRenewed(t *testing.T) {
	table := TableOf(opened(t, Where{Namespace: namespace(t).Path()}), nftables.TableFamilyINet, "one")
	if leased, err := table.Leased(); leased || err != nil {
		t.Fatalf("a table that is not there is leased: %v, %v", leased, err)
	}
	first := time.Now().Add(300 * time.Millisecond)
	if err := table.Make(first, dropping()); err != nil {
		t.Fatal(err)
	}
	if err := table.Renew(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	until(t, "the first lease is over", func() (bool, error) { return time.Now().After(first.Add(300 * time.Millisecond)), nil })
	if leased, err := table.Leased(); !leased || err != nil {
		t.Errorf("the lease was renewed and is over: %v, %v", leased, err)
	}
	if err := table.Renew(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	until(t, "a lease that was made shorter ends", func() (bool, error) {
		leased, err := table.Leased()
		return !leased, err
	})
	if err := table.Renew(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if leased, err := table.Leased(); !leased || err != nil {
		t.Errorf("a lease that was over is not renewed: %v, %v", leased, err)
	}
	if err := table.Expire(); err != nil {
		t.Fatal(err)
	}
	if leased, err := table.Leased(); leased || err != nil {
		t.Errorf("the lease goes on after its end: %v, %v", leased, err)
	}
}

func TestWhatCannotBeMade(t *testing.T) {
	table := TableOf(opened(t, Where{Namespace: namespace(t).Path()}), nftables.TableFamilyINet, "one")
	if err := table.Make(time.Now(), dropping()); err == nil || !strings.Contains(err.Error(), "over already") {
		t.Errorf("a lease that is over: %v", err)
	}
	if err := table.Renew(time.Now().Add(time.Minute)); err == nil {
		t.Error("a table that is not there is renewed")
	}
	if err := table.Make(time.Now().Add(time.Minute), dropping()); err != nil {
		t.Fatal(err)
	}
	if err := table.Make(time.Now().Add(time.Minute), dropping()); err == nil || !strings.Contains(err.Error(), "undo that fault first") {
		t.Errorf("a second table of the same fault: %v", err)
	}
}

// Each fault has its own table, whatever its ID, and removing one leaves the others.
func TestTablesKnowNothingOfEachOther(t *testing.T) {
	space := opened(t, Where{Namespace: namespace(t).Path()})
	var tables []Table
	for _, fault := range []string{"one", "two", "a name; with = signs", strings.Repeat("long", 100)} {
		table := TableOf(space, nftables.TableFamilyINet, fault)
		if err := table.Make(time.Now().Add(time.Minute), dropping()); err != nil {
			t.Fatalf("%s: %v", fault, err)
		}
		tables = append(tables, table)
	}
	for i, table := range tables {
		for range 2 { // the second time there is nothing to remove
			if err := table.Remove(); err != nil {
				t.Fatal(err)
			}
		}
		for j, other := range tables {
			if there, err := other.exists(); there != (j > i) || err != nil {
				t.Errorf("after table %d was removed, table %d is there: %v, %v", i, j, there, err)
			}
		}
	}
}

func TestHoldRenewsUntilItIsReleased(t *testing.T) {
	table := TableOf(opened(t, Where{Namespace: namespace(t).Path()}), nftables.TableFamilyINet, "held")
	held, release, err := table.Hold(t.Context(), dropping())
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	until(t, "the kernel's lease would be over", func() (bool, error) { return time.Since(begun) > keptLease+100*time.Millisecond, nil })
	if leased, err := table.Leased(); !leased || err != nil || held.Err() != nil {
		t.Errorf("the lease was not renewed: %v, %v", leased, err)
	}
	release()
	if held.Err() == nil {
		t.Error("it is held after its release")
	}
	if err := table.Remove(); err != nil {
		t.Fatal(err)
	}
}

// Somebody takes the table away: whoever holds it hears of it.
func TestHoldEndsWithItsTable(t *testing.T) {
	table := TableOf(opened(t, Where{Namespace: namespace(t).Path()}), nftables.TableFamilyINet, "held")
	held, release, err := table.Hold(t.Context(), dropping())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := table.Remove(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is not held any more", func() (bool, error) { return held.Err() != nil, nil })
}

func TestANamespaceIsFoundAgain(t *testing.T) {
	first, second := namespace(t), namespace(t)
	link := filepath.Join(t.TempDir(), "netns")
	if err := os.Symlink(first.Path(), link); err != nil {
		t.Fatal(err)
	}
	where := Where{Namespace: "netns", Dir: filepath.Dir(link)}
	id := opened(t, where).ID
	again, err := where.Reopen(id)
	if err != nil || again.ID != id {
		t.Fatalf("it is not found again: %v", err)
	}
	again.Close()
	if err := errors.Join(os.Remove(link), os.Symlink(second.Path(), link)); err != nil {
		t.Fatal(err)
	}
	if _, err := where.Reopen(id); !errors.Is(err, ErrGone) {
		t.Errorf("its file leads elsewhere and nobody lives in it, and Reopen says %v", err)
	}
}

func TestDoIsInTheNamespaceAndNothingElseIs(t *testing.T) {
	n := namespace(t)
	space := opened(t, Where{Namespace: n.Path()})
	here := func() (string, error) { return os.Readlink("/proc/thread-self/ns/net") }
	before, err := here()
	if err != nil {
		t.Fatal(err)
	}
	var inside string
	if err := space.Do(func() (err error) {
		inside, err = here()
		return err
	}); err != nil || inside != fmt.Sprintf("net:[%d]", space.ID) {
		t.Errorf("work ran in %s and not in %d: %v", inside, space.ID, err)
	}
	for range 50 {
		if now, err := here(); err != nil || now != before {
			t.Fatalf("this test got into %s: %v", now, err)
		}
	}
	own := opened(t, Where{})
	if err := own.Do(func() (err error) {
		inside, err = here()
		return err
	}); err != nil || inside != before {
		t.Errorf("one's own namespace is %s and not %s: %v", inside, before, err)
	}
}
