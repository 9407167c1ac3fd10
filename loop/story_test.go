package loop_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/loop"
)

// TestStories tells every story of testdata/*.txtar. A story is a fake world, the files that people wrote for it, what
// happens when, and what must come of it. Its parts:
//
//	world      one service a line, with what it needs; `partner external` marks a third party's, and `fleet of a, b` is
//	           one service that has several targets and needs them all
//	files      documents, besides those of testdata/common.yaml; one of the same name takes the other one's place
//	events     `5s kill checkout`: what happens how long after the start; `end` ends the story. Instead of a time,
//	           `on PHASE` is the first moment at which an incident or drill stands in that phase
//	timeline   text that must occur in the timeline, in this order; a line with a ! must not occur at all
//	end        how everything ended, exactly: incidents and drills, effects on the world in order, pages; … is any text,
//	           and a line with a ? may be missing, where two things happen at the same instant
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			story := read(t, file)
			common := documents(t, "testdata/common.yaml")
			synctest.Test(t, func(t *testing.T) {
				m := story.machine(t, common)
				m.boot()
				story.play(m)
				m.program.shut()
				story.judge(m)
			})
		})
	}
}

type story struct {
	world, events, timeline, end string
	docs                         *jenner.Documents
}

func read(t *testing.T, file string) *story {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, files := &story{docs: &jenner.Documents{}}, ""
	parts := map[string]*string{"world": &s.world, "events": &s.events, "timeline": &s.timeline, "end": &s.end, "files": &files}
	for _, part := range archive.Files {
		into := parts[part.Name]
		if into == nil {
			t.Fatalf("%s has a part %q, which nobody knows", file, part.Name)
		}
		*into = string(part.Data)
	}
	if files != "" {
		path := filepath.Join(t.TempDir(), "story.yaml")
		if err := os.WriteFile(path, []byte(files), 0o600); err != nil {
			t.Fatal(err)
		}
		s.docs = documents(t, path)
	}
	return s
}

func documents(t *testing.T, path string) *jenner.Documents {
	t.Helper()
	loaded, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Documents
}

// merged puts the story's own documents in the place of those of the same name.
func merged[T any](common, own []T, name func(T) string) []T {
	var kept []T
	for _, one := range common {
		if !slices.ContainsFunc(own, func(other T) bool { return name(other) == name(one) }) {
			kept = append(kept, one)
		}
	}
	return append(kept, own...)
}

// machine makes the world and the documents about it.
func (s *story) machine(t *testing.T, common *jenner.Documents) *machine {
	m := newMachine(t)
	m.docs = &jenner.Documents{
		Signatures:  merged(common.Signatures, s.docs.Signatures, func(d jenner.Signature) string { return d.Name }),
		Runbooks:    merged(common.Runbooks, s.docs.Runbooks, func(d jenner.Runbook) string { return d.Name }),
		Policies:    merged(common.Policies, s.docs.Policies, func(d jenner.Policy) string { return d.Name }),
		Experiments: merged(common.Experiments, s.docs.Experiments, func(d jenner.Experiment) string { return d.Name }),
		Teams:       s.docs.Teams,
		Limits:      s.docs.Limits,
	}
	var services []jenner.Service
	for _, text := range lines(s.world) {
		name, rest, _ := strings.Cut(text, " ")
		external := rest == "external"
		var needs, on []string
		replicas, fleet := strings.CutPrefix(rest, "of ")
		if fleet {
			services = append(services, m.fleet(name, strings.Split(replicas, ", ")))
			continue
		}
		if rest = strings.TrimPrefix(rest, "needs "); rest != "" && !external {
			needs = strings.Split(rest, ", ")
		}
		for _, need := range needs {
			other, _, _ := strings.Cut(need, " unless ")
			on = append(on, other)
		}
		m.world.Add(name, needs...)
		alerts := !external
		services = append(services, jenner.Service{Name: name, Tier: 1, External: external, DependsOn: on,
			Targets: []jenner.Target{m.world.Target(name)},
			Probes: []jenner.Probe{{Name: "ready", Kind: "answer", Params: jenner.Params{"world": jenner.Raw(t.Name())},
				Every: jenner.Duration(250 * time.Millisecond), Slow: jenner.Duration(100 * time.Millisecond), Alert: &alerts}}})
	}
	m.docs.Services = merged(services, s.docs.Services, func(d jenner.Service) string { return d.Name })
	return m
}

// fleet is a service with several targets, which are seen only through it.
func (m *machine) fleet(name string, replicas []string) jenner.Service {
	service := jenner.Service{Name: name, Tier: 1, Probes: []jenner.Probe{{Name: "ready", Kind: "answer", Every: jenner.Duration(250 * time.Millisecond),
		Params: jenner.Params{"world": jenner.Raw(m.t.Name())}}}}
	for _, replica := range replicas {
		m.world.Add(replica)
		service.Targets = append(service.Targets, m.world.Target(replica))
	}
	m.world.Add(name, replicas...)
	return service
}

func lines(text string) []string {
	var list []string
	for _, one := range strings.Split(text, "\n") {
		one, _, _ = strings.Cut(one, " # ")
		if one = strings.TrimSpace(one); one != "" {
			list = append(list, one)
		}
	}
	return list
}

// play lets happen what the story says.
func (s *story) play(m *machine) {
	began := time.Now()
	for _, event := range lines(s.events) {
		when, what, _ := strings.Cut(event, " ")
		if when == "on" {
			phase, then, _ := strings.Cut(what, " ")
			m.await(jenner.Phase(phase))
			m.happen(strings.Fields(then))
			continue
		}
		after, err := time.ParseDuration(when)
		if err != nil {
			m.t.Fatalf("event %q: %v", event, err)
		}
		time.Sleep(time.Until(began.Add(after)))
		m.happen(strings.Fields(what))
	}
}

// await waits until something stands in a phase.
func (m *machine) await(phase jenner.Phase) {
	m.t.Helper()
	for deadline := time.Now().Add(time.Hour); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		m.mu.Lock()
		there := slices.ContainsFunc(m.timeline, func(e entry) bool {
			return e.Kind == "phase" && strings.HasSuffix(e.Text, "→ "+string(phase))
		})
		m.mu.Unlock()
		if there {
			return
		}
	}
	m.t.Fatalf("nothing came to phase %s within an hour:\n%s", phase, m.told())
}

func (m *machine) happen(words []string) {
	m.t.Helper()
	var err error
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "kill":
		m.world.Kill(arg(1))
	case "hang":
		m.world.Hang(arg(1))
	case "start":
		m.world.Start(arg(1))
	case "set":
		err = m.world.Set(arg(1), arg(2), arg(3))
	case "blind":
		m.see(false)
	case "see":
		m.see(true)
	case "stop":
		m.stop(arg(1))
	case "resume":
		m.resume()
	case "approve":
		err = m.vote(arg(1), true, "")
	case "reject":
		err = m.vote(arg(1), false, strings.Join(words[2:], " "))
	case "agree": // beforehand: PERSON RUNBOOK SERVICE for how long
		var lasting jenner.Duration
		if lasting, err = jenner.ParseDuration(arg(4)); err == nil {
			err = m.program.store.PutVote(m.program.ctx, jenner.Vote{Service: arg(3), Runbook: arg(2), Person: arg(1), Yes: true,
				At: time.Now(), Until: time.Now().Add(lasting.Std())})
		}
	case "own": // another controller owns the targets of a service
		m.own(arg(1), arg(2))
	case "mode": // POLICY MODE: the files say so from now on
		m.mode(arg(1), jenner.Mode(arg(2)))
	case "plan": // EFFECT SERVICE for how long
		err = m.plan(arg(1), arg(2), arg(3))
	case "number": // the answer to a question in PromQL that is one word; none where there is no second one
		err = m.number(arg(1), arg(2))
	case "budget": // what is left of the error budget of a service
		m.mu.Lock()
		m.budgets[arg(1)], err = strconv.ParseFloat(arg(2), 64)
		m.mu.Unlock()
	case "crash":
		m.program.crash()
	case "boot":
		m.boot()
	case "drill":
		err = m.program.drill(arg(1))
	case "end":
	default:
		err = fmt.Errorf("nobody knows what %q is", words)
	}
	if err != nil {
		m.t.Fatalf("%v: %v", words, err)
	}
}

func (m *machine) number(promql, value string) error {
	if value == "" {
		m.world.NoAnswer(promql)
		return nil
	}
	number, err := strconv.ParseFloat(value, 64)
	m.world.SetAnswer(promql, number)
	return err
}

// vote says a person's word on the last request of every incident, also where it has been answered already.
func (m *machine) vote(person string, yes bool, reason string) error {
	records, err := m.program.records(m.t.Context(), loop.IncidentLine, time.Time{})
	if err != nil {
		return err
	}
	voted := 0
	for _, record := range records {
		if requests := decode[jenner.Incident](m.t, record).Requests; len(requests) > 0 {
			voted++
			err = errors.Join(err, m.program.store.PutVote(m.t.Context(), jenner.Vote{Request: requests[len(requests)-1].ID,
				Person: person, Yes: yes, At: time.Now(), Reason: reason}))
		}
	}
	if voted == 0 {
		return errors.Join(err, errors.New("nobody is asked anything"))
	}
	return err
}

// own lets another controller own the targets of a service.
func (m *machine) own(service, controller string) {
	m.change(func(docs *jenner.Documents) {
		docs.Services = slices.Clone(docs.Services)
		for i, one := range docs.Services {
			if one.Name == service {
				docs.Services[i].Targets = slices.Clone(one.Targets)
				docs.Services[i].Targets[0].ManagedBy = controller
			}
		}
	})
}

// mode lets the files give a policy another mode.
func (m *machine) mode(policy string, mode jenner.Mode) {
	m.change(func(docs *jenner.Documents) {
		docs.Policies = slices.Clone(docs.Policies)
		for i, one := range docs.Policies {
			if one.Name == policy {
				docs.Policies[i].Mode = mode
			}
		}
	})
}

// change changes the files while the program runs.
func (m *machine) change(how func(docs *jenner.Documents)) {
	docs := *cmp.Or(m.later.Load(), m.docs)
	how(&docs)
	m.later.Store(&docs)
}

// plan puts an event that begins now into the calendar.
func (m *machine) plan(effect, service, lasting string) error {
	length, err := jenner.ParseDuration(lasting)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.planned = append(m.planned, jenner.Planned{Calendar: "story", Summary: effect, From: time.Now(), Until: time.Now().Add(length.Std()),
		Services: jenner.Selector{Names: []string{service}}, Effect: jenner.PlannedEffect(effect), LowerBy: 0.2})
	return err
}

var idPattern = regexp.MustCompile(`\b[id]-\d{4}-\d{6}-[0-9a-f]{6}`)

// told is the whole timeline, with short ids.
func (m *machine) told() string {
	var b strings.Builder
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.timeline {
		fmt.Fprintf(&b, "%s %s %s: %s\n", one.At.Format("15:04:05.000"), one.id, one.Kind, one.Text)
	}
	return short(b.String())
}

// short makes ids i1, i2, d1 in the order in which they occur.
func short(text string) string {
	seen, count := map[string]string{}, map[byte]int{}
	return idPattern.ReplaceAllStringFunc(text, func(id string) string {
		if seen[id] == "" {
			count[id[0]]++
			seen[id] = fmt.Sprintf("%c%d", id[0], count[id[0]])
		}
		return seen[id]
	})
}

// ended says how everything came out.
func (m *machine) ended() string {
	var b strings.Builder
	m.boot() // whatever is stored must be readable by the next start
	defer m.program.shut()
	records, err := m.program.records(m.t.Context(), loop.IncidentLine, time.Time{})
	if err != nil {
		m.t.Fatal(err)
	}
	drills, err := m.program.records(m.t.Context(), loop.DrillLine, time.Time{})
	if err != nil {
		m.t.Fatal(err)
	}
	slices.SortFunc(records, func(x, y jenner.Record) int {
		// Not by time: which of several that come together comes first is chance.
		return cmp.Or(strings.Compare(x.Subject, y.Subject), x.Created.Compare(y.Created))
	})
	for _, record := range records {
		incident := decode[jenner.Incident](m.t, record)
		fmt.Fprintf(&b, "incident %s %s: %s\n", record.Subject, record.Phase, incident.Outcome)
	}
	slices.SortFunc(drills, func(x, y jenner.Record) int { return x.Created.Compare(y.Created) })
	for _, record := range drills {
		for _, result := range decode[jenner.Drill](m.t, record).Results {
			fmt.Fprintf(&b, "drill %s %s: %s\n", result.Experiment, result.Verdict, strings.Join(result.Reasons, "; "))
		}
	}
	for _, effect := range m.world.Effects() {
		fmt.Fprintf(&b, "effect %s %s\n", effect.What, effect.Service)
	}
	for _, page := range m.pages {
		fmt.Fprintf(&b, "page %s\n", page)
	}
	return short(b.String())
}

func (s *story) judge(m *machine) {
	rest, told := m.told(), m.told()
	for _, want := range lines(s.timeline) {
		if forbidden, not := strings.CutPrefix(want, "!"); not {
			if strings.Contains(told, strings.TrimSpace(forbidden)) {
				m.t.Errorf("the timeline has %q", forbidden)
			}
			continue
		}
		_, after, found := strings.Cut(rest, want)
		if !found {
			m.t.Errorf("the timeline misses, in its order, %q", want)
			continue
		}
		rest = after
	}
	got, want, pattern := m.ended(), strings.Join(lines(s.end), "\n")+"\n", "^"
	for _, line := range lines(s.end) {
		needed, may := strings.CutPrefix(line, "? ")
		one := strings.ReplaceAll(regexp.QuoteMeta(needed), "…", ".*") + "\n"
		if may {
			one = "(?:" + one + ")?"
		}
		pattern += one
	}
	pattern += "$"
	if !regexp.MustCompile(pattern).MatchString(got) {
		m.t.Errorf("it ended as\n%s\nand not as\n%s", got, want)
	}
	if m.t.Failed() {
		m.t.Logf("the whole timeline:\n%s", told)
	}
}
