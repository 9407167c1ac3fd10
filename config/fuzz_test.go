package config_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
)

// seeds are all documents of the tests, right ones and wrong ones, and some edges.
func seeds(f *testing.F) {
	for _, name := range []string{"whole.yaml", "shapes.yaml", "world.yaml", "brakes.yaml", "bad-form.txtar", "bad-meaning.txtar", "bad-both.txtar"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(raw), "\n---\n") {
			f.Add(part)
		}
		for part := range strings.SplitSeq(string(raw), "\n-- ") {
			_, text, _ := strings.Cut(part, "\n")
			f.Add(text)
		}
	}
	for _, edge := range []string{
		"a: &a [*a, *a]\nkind: service\nname: *a\n<<: [*a]",
		"kind: policy\nincident_type: a\ncircuit_breaker: {window: 106751d, failures: 9223372036854775807}",
		"kind: policy\nincident_type: a\npromotion: {success: 1e-300}\napproval: {count: 9223372036854775807, by: [owner, owner]}",
		"kind: policy\nincident_type: a\ncost_budget: {max: 1e308}\nmodes: {'': auto}",
		"kind: policy\nincident_type: a\nmin_healthy: 0% 0\nblast_radius: {max_: 100%}",
		"members: []\nname: a", "ics: http://[::1\nname: a", "ics: \"\\0\"\nname: a", "max_targets_at_once: -9223372036854775808",
		"kind: runbook\nname: a\nsteps: [{name: '', action: .}]", "kind: runbook\nname: a\nsteps: [{name: a, action: b, cost: -1e308, params: {a: 1e400}}]",
		plainCatalogue, "groups: &g [{name: a, rules: *g}]", "groups: [{name: a, rules: [{alert: '{{', expr: up, labels: {'': x}}]}]", "<<: &a {groups: [*a]}",
		"kind: PrometheusRule\napiVersion: monitoring.coreos.com/v1\nmetadata: []\nspec: {groups: [{name: a, limit: 1e9, rules: [{record: a}]}]}",
		"kind: prometheus\nname: a\nurl: http://[::1]:9090/x\nlabels: {'': a}\nmax_age: 292y",
	} {
		f.Add(edge)
	}
}

// Whatever stands in a file is documents or an error, and can be looked at. What is right is written again as JSON in
// the form that people write, and reads as the same.
func FuzzLoad(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		path := write(t, dir, "file.yaml", text)
		loaded, err := config.Load(path)
		if (loaded == nil) == (err == nil) {
			t.Fatalf("got %v and %v", loaded, err)
		}
		if both, problems, _ := config.CheckFiles(names, path); (both == nil) != (err != nil) || both == nil && len(problems) == 0 {
			t.Fatalf("Load says %v, and CheckFiles %v and %v", err, both, problems)
		}
		if err != nil {
			return
		}
		loaded.Check(names)
		loaded.Warnings()
		written := asWritten(t, loaded.Documents)
		again, err := config.Load(write(t, dir, "again.yaml", written))
		if written == "" {
			return // nothing but comments
		}
		if err != nil {
			t.Fatalf("%q is written again as\n%s\nwhich is refused: %v", text, written, err)
		}
		if diff := cmp.Diff(loaded.Documents, again.Documents, cmpopts.IgnoreTypes(jenner.Source{}), cmpopts.EquateEmpty(), shares, notOurs); diff != "" {
			t.Fatalf("%q is written again as\n%s\nwhich reads otherwise (-first +again):\n%s", text, written, diff)
		}
	})
}

// notOurs are the documents whose form is Prometheus'.
var notOurs = cmpopts.IgnoreFields(jenner.Documents{}, "Catalogues")

// shares are written with twelve digits.
var shares = cmp.Comparer(func(a, b jenner.Share) bool { return math.Abs(float64(a-b)) <= 1e-11 })

// asWritten writes documents as JSON, each in the flat form.
func asWritten(t *testing.T, docs *jenner.Documents) string {
	t.Helper()
	var parts []string
	add := func(kind string, document any) {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(jenner.Raw(document), &fields); err != nil {
			t.Fatal(err)
		}
		fields = flattened(t, kind, fields)
		fields["kind"] = jenner.Raw(kind)
		parts = append(parts, asASCII(jenner.Raw(fields)))
	}
	for _, one := range docs.Services {
		add("service", one)
	}
	for _, one := range docs.Signatures {
		add("signature", one)
	}
	for _, one := range docs.Runbooks {
		add("runbook", one)
	}
	for _, one := range docs.Policies {
		add("policy", one)
	}
	for _, one := range docs.Experiments {
		add("experiment", one)
	}
	for _, one := range docs.Channels {
		add("channel", one)
	}
	for _, one := range docs.Teams {
		add("team", one)
	}
	for _, one := range docs.Calendars {
		add("calendar", one)
	}
	for _, one := range docs.Mappings {
		add("mapping", one)
	}
	for _, one := range docs.Receivers {
		add("receiver", one)
	}
	for _, one := range docs.Prometheus {
		add("prometheus", one)
	}
	if docs.Limits != (jenner.Limits{Source: docs.Limits.Source}) {
		add("limits", docs.Limits)
	}
	return strings.Join(parts, "\n---\n")
}

// flattened puts parameters where people write them: beside the fields of a target, and below the kind of a probe or of
// a channel.
func flattened(t *testing.T, kind string, fields map[string]json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	if kind == "channel" {
		return below(t, fields)
	}
	if kind == "experiment" {
		return asked(t, fields)
	}
	if kind != "service" {
		return fields
	}
	each := func(name string, change func(map[string]json.RawMessage) map[string]json.RawMessage) {
		var list []map[string]json.RawMessage
		if fields[name] == nil {
			return
		}
		if err := json.Unmarshal(fields[name], &list); err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i] = change(list[i])
		}
		fields[name] = jenner.Raw(list)
	}
	each("probes", func(probe map[string]json.RawMessage) map[string]json.RawMessage { return below(t, probe) })
	each("metrics", func(source map[string]json.RawMessage) map[string]json.RawMessage {
		if source["kind"] == nil {
			return source // a page, which has no kind
		}
		return below(t, source)
	})
	each("targets", func(target map[string]json.RawMessage) map[string]json.RawMessage {
		maps.Copy(target, params(t, target))
		delete(target, "dir")
		return target
	})
	return fields
}

// asked puts the questions of an experiment's invariants below their kinds.
func asked(t *testing.T, fields map[string]json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	var expect map[string]json.RawMessage
	var invariants []map[string]json.RawMessage
	read := func(raw json.RawMessage, into any) {
		if raw != nil && json.Unmarshal(raw, into) != nil {
			t.Fatalf("%s is no JSON", raw)
		}
	}
	read(fields["expect"], &expect)
	read(expect["invariants"], &invariants)
	for _, invariant := range invariants {
		var ask map[string]json.RawMessage
		if read(invariant["ask"], &ask); ask != nil {
			invariant["ask"] = jenner.Raw(below(t, ask))
		}
	}
	if invariants != nil {
		expect["invariants"] = jenner.Raw(invariants)
		fields["expect"] = jenner.Raw(expect)
	}
	return fields
}

// params takes the parameters out of what holds them.
func params(t *testing.T, holder map[string]json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	inner := map[string]json.RawMessage{}
	if raw := holder["params"]; raw != nil {
		if err := json.Unmarshal(raw, &inner); err != nil {
			t.Fatal(err)
		}
	}
	delete(holder, "params")
	return inner
}

func below(t *testing.T, holder map[string]json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	var kind string
	if err := json.Unmarshal(holder["kind"], &kind); err != nil {
		t.Fatal(err)
	}
	inner := params(t, holder)
	delete(holder, "kind")
	holder[kind] = jenner.Raw(inner)
	return holder
}

// asASCII escapes what JSON allows and YAML does not: control characters above 0x7e.
func asASCII(raw []byte) string {
	var out strings.Builder
	for _, r := range string(raw) {
		if r > 0x7e && r < 0x10000 {
			out.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				out.WriteByte("0123456789abcdef"[r>>shift&15])
			}
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// FuzzSchema holds documents against the schemas: they never panic, and what they have no complaint about is something
// that Load can read, but for what a schema cannot say.
func FuzzSchema(f *testing.F) {
	seeds(f)
	schemas := map[string]*jsonschema.Resolved{}
	for _, kind := range config.Kinds() {
		raw, err := config.Schema(kind)
		if err != nil {
			f.Fatal(err)
		}
		var schema jsonschema.Schema
		if err := json.Unmarshal(raw, &schema); err != nil {
			f.Fatal(err)
		}
		if schemas[kind], err = schema.Resolve(nil); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, single := oneValue(text)
		if !single {
			return
		}
		said, _ := value["kind"].(string)
		for kind, schema := range schemas {
			if err := schema.Validate(value); err != nil || !strings.EqualFold(said, kind) {
				continue
			}
			if _, err := config.Load(write(t, t.TempDir(), "file.yaml", text)); err != nil && !beyondSchemas(err.Error()) {
				t.Fatalf("%q fits the schema of %s, and Load says %v", text, kind, err)
			}
		}
	})
}

// oneValue is a file's only document as a schema sees it.
func oneValue(text string) (value map[string]any, single bool) {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	var read map[string]any
	if decoder.Decode(&read) != nil || decoder.Decode(new(yaml.Node)) == nil {
		return nil, false
	}
	raw, err := json.Marshal(read)
	if err != nil || json.Unmarshal(raw, &value) != nil {
		return nil, false
	}
	return value, value != nil
}

// beyondSchemas tells what a schema of JSON cannot say, because it sees values and not how they were written.
func beyondSchemas(message string) bool {
	for _, part := range []string{"stands twice", "grows beyond", "is empty", "starts with 0", "has the tag", "is not a finite number", "too large",
		"is too long", "is not YAML", "it needs one key that names the kind", "could name its kind",
		"must be a mapping", "must be a plain word", "must be text",
		"the catalogue cannot be read", " of group ", "a group has no name", "there are two groups"} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}
