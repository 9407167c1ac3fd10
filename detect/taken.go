package detect

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// What becomes of an alert that another system tells of. The first three are alerts that were taken.
const (
	TakenFires     = "fires"      // it was not known to fire
	TakenAgain     = "again"      // it was, and has been seen once more
	TakenResolved  = "resolved"   // it fired, and does so no more
	PassedOld      = "old"        // it began longer ago than the receiver's expires_after, and was not known
	PassedOutdated = "outdated"   // something later was said of it before
	PassedNotFired = "not_firing" // it is resolved, and was not known to fire
	PassedOwn      = "own"        // Jenner gave it itself
	PassedUnlisted = "unlisted"   // it is not among the receiver's alerts
	PassedNoData   = "no_data"    // it says only that nobody could look
	PassedNameless = "nameless"   // it has no name
	PassedFull     = "full"       // too many others are known
)

// TakenResults are all of them, so that each can be counted from 0.
var TakenResults = []string{TakenFires, TakenAgain, TakenResolved, PassedOld, PassedOutdated, PassedNotFired, PassedOwn,
	PassedUnlisted, PassedNoData, PassedNameless, PassedFull, NobodyIgnored, NobodyUnmapped}

// LabelPhase is on every alert that Jenner gives to others, so that it never takes one of its own.
const LabelPhase = "jenner_phase"

const (
	// knownLimit is how many alerts a Taker knows, firing on the board and over; the board holds half of them.
	knownLimit = 2 * DefaultLimit
	// startsDiffer is by how much two senders that watch the same may differ about when an alert began.
	startsDiffer = time.Minute
	// forgetSilent is how long after its sender fell silent an alert is taken off the board, where nobody ever says more.
	forgetSilent = 24 * time.Hour
	// nobodyLimit is how many names of alerts that are nobody's are remembered.
	nobodyLimit = 200
)

// Taker takes the alerts of other systems onto the board: whose they are the mappings say, and what was said late, twice
// or long ago does nothing. It is safe for concurrent use.
type Taker struct {
	board *Board
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	docs   *jenner.Documents
	mapper *Mapper
	known  map[string]*spell              // by fingerprint
	groups map[string]map[string]struct{} // receiver and group to the fingerprints that were in its newest message
	counts map[string]map[string]uint64
	nobody map[string]*Nobody // by name
}

// spell is one time that an alert fired, as its sender has it, and what was heard of it.
type spell struct {
	starts time.Time // by the sender's clock
	over   time.Time // by the sender's clock: what began before this is over; zero: never was
	heard  time.Time // when it was last said to fire
	until  time.Time // by the sender's clock: until when it vouched for it; zero: it did not say
	asked  time.Time // by the Alertmanager's clock: when it was last asked and had the alert; zero: never
	group  string    // the key in groups; empty: in none
}

// Nobody is an alert that no service was found for.
type Nobody struct {
	Name     string            `json:"name"`
	Receiver string            `json:"receiver"`
	Count    uint64            `json:"count"`
	Last     time.Time         `json:"last"`
	Labels   map[string]string `json:"labels"`        // of the last one
	Saw      string            `json:"saw,omitempty"` // the rules that fit and did not hold, and why
}

// NewTaker makes a taker that knows of no services yet.
func NewTaker(board *Board, now func() time.Time, log *slog.Logger) *Taker {
	return &Taker{board: board, now: now, log: log, docs: &jenner.Documents{}, mapper: &Mapper{docs: &jenner.Documents{}},
		known: map[string]*spell{}, groups: map[string]map[string]struct{}{}, counts: map[string]map[string]uint64{}, nobody: map[string]*Nobody{}}
}

// Set makes these documents the ones in force.
func (t *Taker) Set(docs *jenner.Documents) error {
	mapper, err := NewMapper(docs)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.docs, t.mapper, t.nobody = docs, mapper, map[string]*Nobody{}
	for _, receiver := range docs.Receivers {
		if t.counts[receiver.Name] == nil {
			t.counts[receiver.Name] = map[string]uint64{}
			for _, result := range TakenResults {
				t.counts[receiver.Name][result] = 0
			}
		}
	}
	return nil
}

// Take takes what one message of a receiver's sender says, and tells how many alerts came to what. Where the message is a
// whole group, what it does not name any more of that group counts as not seen from now on: it may be resolved, silenced
// or inhibited, and nobody can tell which.
func (t *Taker) Take(receiver jenner.Receiver, sent []jenner.SentAlert, whole bool) map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	results := map[string]int{}
	named := map[string]bool{}
	for _, one := range sent {
		fingerprint, result := t.take(receiver, one)
		named[fingerprint] = true
		results[result]++
		t.count(receiver.Name, result, 1)
	}
	if whole && len(sent) > 0 && sent[0].Group != "" {
		t.left(receiver, groupKey(receiver, sent[0].Group), named)
	}
	return results
}

// Count counts alerts that never came as far as Take.
func (t *Taker) Count(receiver, result string, alerts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(receiver, result, alerts)
}

func (t *Taker) count(receiver, result string, alerts int) {
	if t.counts[receiver] == nil {
		t.counts[receiver] = map[string]uint64{}
	}
	t.counts[receiver][result] += uint64(alerts)
}

func (t *Taker) take(receiver jenner.Receiver, sent jenner.SentAlert) (fingerprint, result string) {
	name := sent.Labels[jenner.AlertName]
	_, own := sent.Labels[LabelPhase]
	switch {
	case name == "":
		return "", PassedNameless
	case own:
		return "", PassedOwn
	case len(receiver.Alerts) > 0 && !slices.Contains(receiver.Alerts, name):
		return "", PassedUnlisted
	case sent.NoData:
		return "", PassedNoData
	}
	found := t.whose(sent)
	if found.Nobody != "" {
		t.nobodys(receiver.Name, sent, found)
		return "", found.Nobody
	}
	alert := alertOf(receiver, sent, found)
	known := t.spellOf(alert.Fingerprint)
	if known == nil {
		return alert.Fingerprint, PassedFull
	}
	if sent.Status == jenner.Resolved {
		t.join(alert.Fingerprint, known, "")
		return alert.Fingerprint, t.resolved(known, receiver, alert, sent)
	}
	t.join(alert.Fingerprint, known, groupKey(receiver, sent.Group))
	return alert.Fingerprint, t.fires(known, receiver, alert, sent)
}

// groupKey is empty for what is in no group.
func groupKey(receiver jenner.Receiver, group string) string {
	if group == "" {
		return ""
	}
	return receiver.Name + "\x00" + group
}

// join puts an alert into a group, and takes it out of the one that it was in.
func (t *Taker) join(fingerprint string, known *spell, group string) {
	if known.group == group {
		return
	}
	delete(t.groups[known.group], fingerprint)
	if len(t.groups[known.group]) == 0 {
		delete(t.groups, known.group)
	}
	known.group = group
	if group == "" {
		return
	}
	if t.groups[group] == nil {
		t.groups[group] = map[string]struct{}{}
	}
	t.groups[group][fingerprint] = struct{}{}
}

// whose asks the sender's own word, and then the mappings.
func (t *Taker) whose(sent jenner.SentAlert) Mapped {
	if sent.Service == "" {
		return t.mapper.Explain(sent.Labels)
	}
	service, known := t.docs.Service(sent.Service)
	if !known {
		return Mapped{Nobody: NobodyUnmapped, Saw: fmt.Sprintf("there is no service %q", sent.Service)}
	}
	return Mapped{Service: service.Name, Target: firstTarget(service), By: "the sender"}
}

// nobodys remembers an alert that is nobody's, and tells of it once for each name.
func (t *Taker) nobodys(receiver string, sent jenner.SentAlert, found Mapped) {
	if found.Nobody != NobodyUnmapped {
		return
	}
	name := sent.Labels[jenner.AlertName]
	one := t.nobody[name]
	if one == nil {
		if len(t.nobody) >= nobodyLimit {
			return
		}
		one = &Nobody{Name: name}
		t.nobody[name] = one
		t.log.Warn("an alert belongs to no service and is passed over; write a rule for it in a document of kind mapping, or ignore: true",
			"alert", name, "receiver", receiver, "labels", sent.Labels, "saw", found.Saw)
	}
	one.Receiver, one.Last, one.Labels, one.Saw = receiver, t.now(), sent.Labels, found.Saw
	one.Count++
}

// alertOf is the alert as it would come onto the board. The same labels are the same alert, whichever receiver it comes by.
func alertOf(receiver jenner.Receiver, sent jenner.SentAlert, found Mapped) jenner.Alert {
	parts := []string{string(jenner.AlertTaken), found.Service}
	if sent.Key != "" {
		parts = append(parts, "key", sent.Key)
	} else {
		for _, label := range slices.Sorted(maps.Keys(sent.Labels)) {
			parts = append(parts, label, sent.Labels[label])
		}
	}
	return jenner.Alert{Fingerprint: jenner.Fingerprint(parts...), Name: sent.Labels[jenner.AlertName], Kind: jenner.AlertTaken,
		Service: found.Service, Target: found.Target, Status: sent.Status, Severity: severityOf(sent.Labels["severity"]),
		Summary: summaryOf(sent), Labels: sent.Labels, From: receiver.Name}
}

// severityOf knows the words that people use. One that nobody knows wakes somebody: better once too often.
func severityOf(label string) jenner.Severity {
	switch strings.ToLower(label) {
	case "warning", "warn", "ticket", "info", "notice", "low", "minor", "none":
		return jenner.SeverityTicket
	}
	return jenner.SeverityPage
}

// summaryLength bounds what a sender may write into every incident.
const summaryLength = 500

func summaryOf(sent jenner.SentAlert) string {
	for _, name := range []string{"summary", "description", "message"} {
		if text := strings.TrimSpace(sent.Annotations[name]); text != "" {
			runes := []rune(text)
			return string(runes[:min(len(runes), summaryLength)])
		}
	}
	return "alert " + sent.Labels[jenner.AlertName] + " fires"
}

// spellOf is what is known of an alert; nil where too many are known.
func (t *Taker) spellOf(fingerprint string) *spell {
	if known := t.known[fingerprint]; known != nil {
		return known
	}
	if len(t.known) >= knownLimit {
		for other, known := range t.known {
			if alert, onBoard := t.board.Get(other); !onBoard || alert.Status != jenner.Firing {
				t.join(other, known, "")
				delete(t.known, other)
			}
		}
	}
	if len(t.known) >= knownLimit {
		return nil
	}
	known := &spell{}
	if alert, onBoard := t.board.Get(fingerprint); onBoard && alert.Status == jenner.Firing { // of before a restart
		known.starts, known.heard = alert.StartsAt, alert.SeenAt
	}
	t.known[fingerprint] = known
	return known
}

// fires takes an alert that its sender says fires.
func (t *Taker) fires(known *spell, receiver jenner.Receiver, alert jenner.Alert, sent jenner.SentAlert) string {
	now := t.now()
	before, onBoard := t.board.Get(alert.Fingerprint)
	firing := onBoard && before.Status == jenner.Firing
	starts := sent.StartsAt
	if starts.IsZero() {
		starts = now
		if firing {
			starts = known.starts
		}
	}
	switch {
	case !known.over.IsZero() && !starts.After(known.over):
		return PassedOutdated // it, or what it followed, is known to be over
	case firing && !sent.Until.IsZero() && sent.Until.Before(known.until):
		// Sent before what was heard already; or it says that the alert is over, by a clock that is ahead of ours.
		return PassedOutdated
	case firing && sent.Until.IsZero() && starts.Before(known.starts.Add(-startsDiffer)):
		return PassedOutdated // it tells of a time before this one
	case !firing && now.Sub(starts) > receiver.ExpiresAfter.Or(jenner.DefaultExpiresAfter):
		return PassedOld
	}
	if firing && starts.After(known.starts.Add(startsDiffer)) { // the end of the last time was never told
		t.board.Put(ended(before, earliest(starts, now)))
		firing = false
	}
	if !firing || starts.After(known.starts) {
		known.starts = starts
	}
	known.heard, known.until = now, sent.Until
	alert.SeenAt, alert.ValidUntil = now, believed(receiver, sent, now)
	alert.StartsAt = earliest(starts, now)
	t.board.Put(alert)
	switch after, put := t.board.Get(alert.Fingerprint); {
	case !put || after.Status != jenner.Firing:
		return PassedFull
	case firing:
		return TakenAgain
	}
	return TakenFires
}

func ended(alert jenner.Alert, at time.Time) jenner.Alert {
	alert.Status, alert.SeenAt, alert.EndsAt, alert.ValidUntil = jenner.Resolved, at, at, time.Time{}
	return alert
}

// believed is until when a message counts as a look at the alert: as long as the sender vouches for it, and never longer
// than the receiver says.
func believed(receiver jenner.Receiver, sent jenner.SentAlert, now time.Time) time.Time {
	until := now.Add(receiver.ResendEvery.Or(jenner.DefaultResendEvery))
	if receiver.Alertmanager != nil { // whoever can be asked is asked
		until = now.Add(AskedBelieved(receiver))
	}
	if !sent.Until.IsZero() {
		return earliest(until, sent.Until)
	}
	return until
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// resolved takes an alert that its sender says fires no more. What comes late, after the alert has begun to fire anew or
// was said to fire long after that end, changes nothing.
func (t *Taker) resolved(known *spell, receiver jenner.Receiver, alert jenner.Alert, sent jenner.SentAlert) string {
	now := t.now()
	ends := sent.EndsAt
	if ends.IsZero() {
		ends = now
	}
	before, onBoard := t.board.Get(alert.Fingerprint)
	firing := onBoard && before.Status == jenner.Firing
	if firing && ends.Before(known.starts) {
		return PassedOutdated
	}
	// To a Prometheus an alert that has held until some time is over since then, so that a message from long ago says that
	// it is over. The end is of the sender's clock, and when it was heard to fire of ours; they may differ by some minutes.
	late := known.heard.Add(-receiver.ResendEvery.Or(jenner.DefaultResendEvery))
	if firing && receiver.From == jenner.FromPrometheus && ends.Before(late) {
		return PassedOutdated
	}
	if ends.After(known.over) {
		known.over = ends
	}
	if !firing {
		return PassedNotFired
	}
	alert.Target, alert.SeenAt, alert.EndsAt = before.Target, now, earliest(ends, now)
	t.board.Put(alert)
	return TakenResolved
}

// left makes stale what a group had and its newest message has no more.
func (t *Taker) left(receiver jenner.Receiver, group string, named map[string]bool) {
	for fingerprint := range t.groups[group] {
		if !named[fingerprint] {
			t.doubt(receiver.Name, fingerprint)
		}
	}
}

// doubt makes a firing alert one that nobody vouches for any more. It is neither resolved nor a reason to act.
func (t *Taker) doubt(receiver, fingerprint string) {
	now := t.now()
	alert, onBoard := t.board.Get(fingerprint)
	if onBoard && alert.Status == jenner.Firing && alert.From == receiver && alert.Vouched(now) {
		alert.ValidUntil = now
		t.board.Put(alert)
	}
}

// Tidy takes alerts off the board whose senders fell silent long ago.
func (t *Taker) Tidy() {
	now := t.now()
	for _, alert := range t.board.AllFiring() {
		if alert.Kind == jenner.AlertTaken && !alert.ValidUntil.IsZero() && now.Sub(alert.ValidUntil) > forgetSilent {
			t.log.Info("an alert that nobody has told of for long is withdrawn", "alert", alert.Name, "service", alert.Service,
				"receiver", alert.From, "seen", alert.SeenAt)
			t.board.Withdraw(alert.Fingerprint)
		}
	}
}

// Counts are how many alerts of each receiver came to what, since the start.
func (t *Taker) Counts() map[string]map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := map[string]map[string]uint64{}
	for receiver, results := range t.counts {
		counts[receiver] = maps.Clone(results)
	}
	return counts
}

// Nobodys are the alerts that no service was found for since the documents were read, by name.
func (t *Taker) Nobodys() []Nobody {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []Nobody{}
	for _, name := range slices.Sorted(maps.Keys(t.nobody)) {
		list = append(list, *t.nobody[name])
	}
	return list
}
