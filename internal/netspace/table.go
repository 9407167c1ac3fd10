package netspace

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// Table is the nftables table of one fault. Its rules hold while an element is in its set `lease`, which the kernel takes
// out when its time is over. Only what bears the fault's own name is ever changed.
type Table struct {
	space  *Space
	name   string
	family nftables.TableFamily
}

// Chain is a chain of rules at one of the kernel's hooks.
type Chain struct {
	Name     string
	Type     nftables.ChainType
	Hook     *nftables.ChainHook
	Priority nftables.ChainPriority
	Rules    []Rule
}

// Rule says what happens to the packets that match. The packets that it happened to are counted.
type Rule struct {
	Match []expr.Any
	Then  []expr.Any
	// Unleased rules go on when the lease is over: they end what was begun before.
	Unleased bool
}

// Count is how much a chain's rules were applied to.
type Count struct{ Packets, Bytes uint64 }

const (
	prefix   = "jenner-"
	leaseSet = "lease"
)

var plain = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// TableOf is the table of a fault in a namespace, whether it is there or not. The name bears the fault's ID, so that a
// person who lists the tables sees which fault it is.
func TableOf(space *Space, family nftables.TableFamily, fault string) Table {
	if !plain.MatchString(fault) {
		sum := sha256.Sum256([]byte(fault))
		fault = hex.EncodeToString(sum[:16])
	}
	return Table{space, prefix + fault, family}
}

func (t Table) conn() (*nftables.Conn, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(t.space.FD()))
	if err != nil {
		return nil, fmt.Errorf("cannot reach nftables: %w", err)
	}
	return conn, nil
}

func (t Table) table() *nftables.Table { return &nftables.Table{Name: t.name, Family: t.family} }

func (t Table) set() *nftables.Set {
	return &nftables.Set{Table: t.table(), Name: leaseSet, KeyType: nftables.TypeNFProto, HasTimeout: true}
}

// elements are what every packet finds in the set while the lease lasts: its own network protocol.
func elements(until time.Time) ([]nftables.SetElement, error) {
	left := time.Until(until).Truncate(time.Millisecond)
	if left <= 0 {
		return nil, jenner.Permanent(errors.New("the fault's lease is over already"), "")
	}
	return []nftables.SetElement{
		{Key: []byte{unix.NFPROTO_IPV4}, Timeout: left}, {Key: []byte{unix.NFPROTO_IPV6}, Timeout: left},
	}, nil
}

// Make makes the table in one transaction: all of it is there, or nothing. Its rules hold until the given time.
func (t Table) Make(until time.Time, chains ...Chain) error {
	lasting, err := elements(until)
	if err != nil {
		return err
	}
	if there, err := t.exists(); err != nil || there {
		if err == nil {
			err = jenner.Permanent(fmt.Errorf("nftables has a table %s already", t.name), "undo that fault first")
		}
		return err
	}
	conn, err := t.conn()
	if err != nil {
		return err
	}
	table, set := conn.CreateTable(t.table()), t.set()
	// The number counts within this transaction only, and left to itself the library takes one from a variable of the whole
	// program without a lock.
	set.Table, set.ID = table, 1
	if err := conn.AddSet(set, lasting); err != nil {
		return err
	}
	leased := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	}
	for _, chain := range chains {
		made := conn.AddChain(&nftables.Chain{Name: chain.Name, Table: table, Type: chain.Type, Hooknum: chain.Hook, Priority: &chain.Priority})
		for _, rule := range chain.Rules {
			exprs := append([]expr.Any{}, rule.Match...)
			if !rule.Unleased {
				exprs = append(exprs, leased...)
			}
			exprs = append(append(exprs, &expr.Counter{}), rule.Then...)
			conn.AddRule(&nftables.Rule{Table: table, Chain: made, Exprs: exprs})
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("the kernel does not take the rules of table %s: %w", t.name, err)
	}
	return nil
}

// Renew makes the rules hold until the given time, also where their lease is over already. Not every kernel renews an
// element that is added again: it is taken out and put in, in one transaction, so that no packet slips through.
func (t Table) Renew(until time.Time) error {
	lasting, err := elements(until)
	if err != nil {
		return err
	}
	conn, err := t.conn()
	if err != nil {
		return err
	}
	conn.FlushSet(t.set())
	if err := conn.SetAddElements(t.set(), lasting); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("cannot renew the lease of table %s: %w", t.name, err)
	}
	return nil
}

// Expire ends the lease, so that the rules hold no more. It is for what must be done between the end of their effect and
// their removal: with its chains the kernel also throws away the packets that wait in a queue. Where the table is not
// there, nothing holds.
func (t Table) Expire() error {
	there, err := t.exists()
	if err != nil || !there {
		return err
	}
	conn, err := t.conn()
	if err != nil {
		return err
	}
	conn.FlushSet(t.set())
	return t.unlessGone(conn.Flush())
}

// Leased tells whether the rules hold.
func (t Table) Leased() (bool, error) {
	there, err := t.exists()
	if err != nil || !there {
		return false, err
	}
	conn, err := t.conn()
	if err != nil {
		return false, err
	}
	left, err := conn.GetSetElements(t.set())
	return len(left) > 0, t.unlessGone(err)
}

// Counted is how much each chain's leased and unleased rules were applied to, by the name of the chain; nothing where the
// table is not there.
func (t Table) Counted() (map[string]Count, error) {
	counts := map[string]Count{}
	there, err := t.exists()
	if err != nil || !there {
		return counts, err
	}
	conn, err := t.conn()
	if err != nil {
		return nil, err
	}
	chains, err := conn.ListChainsOfTableFamily(t.family)
	if err != nil {
		return nil, fmt.Errorf("cannot list the chains of nftables: %w", err)
	}
	for _, chain := range chains {
		if chain.Table.Name != t.name {
			continue
		}
		rules, err := conn.GetRules(t.table(), chain)
		if err := t.unlessGone(err); err != nil {
			return nil, err
		}
		counts[chain.Name] = sum(rules)
	}
	return counts, nil
}

func sum(rules []*nftables.Rule) (total Count) {
	for _, rule := range rules {
		for _, part := range rule.Exprs {
			if counter, ok := part.(*expr.Counter); ok {
				total.Packets += counter.Packets
				total.Bytes += counter.Bytes
			}
		}
	}
	return total
}

// unlessGone forgives an error that comes from the table being removed while it was looked at.
func (t Table) unlessGone(err error) error {
	if err == nil {
		return nil
	}
	if there, again := t.exists(); again == nil && !there {
		return nil
	}
	return fmt.Errorf("cannot read table %s: %w", t.name, err)
}

// Remove removes the table with all that is in it. Removing what is not there is nothing.
func (t Table) Remove() error {
	there, err := t.exists()
	if err != nil || !there {
		return err
	}
	conn, err := t.conn()
	if err != nil {
		return err
	}
	conn.DelTable(t.table())
	return t.unlessGone(conn.Flush())
}

func (t Table) exists() (bool, error) {
	conn, err := t.conn()
	if err != nil {
		return false, err
	}
	tables, err := conn.ListTablesOfFamily(t.family)
	if err != nil {
		return false, fmt.Errorf("cannot list the tables of nftables: %w", err)
	}
	for _, table := range tables {
		if table.Name == t.name {
			return true, nil
		}
	}
	return false, nil
}

// Fingerprint names what the fault must leave as it was: its own table is not there, and the chains of others through
// which packets go are as they were. The rules in those chains are no part of it, for whoever owns them changes them at
// any time, and nothing here ever touches them; nor are the tables of other faults.
func (t Table) Fingerprint() (string, error) {
	conn, err := t.conn()
	if err != nil {
		return "", err
	}
	there, err := t.exists()
	if err != nil {
		return "", err
	}
	chains, err := conn.ListChains()
	if err != nil {
		return "", fmt.Errorf("cannot list the chains of nftables: %w", err)
	}
	lines := []string{}
	for _, chain := range chains {
		if chain.Hooknum == nil || strings.HasPrefix(chain.Table.Name, prefix) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%d %s %s %s %d %d", chain.Table.Family, chain.Table.Name, chain.Name, chain.Type,
			*chain.Hooknum, *chain.Priority))
	}
	sort.Strings(lines)
	print := fmt.Sprintf("%d chains of others, %s", len(lines), jenner.Fingerprint(strings.Join(lines, "\n")))
	if there {
		print += ", and table " + t.name
	}
	return print, nil
}
