package detect

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

func mappedDocs(rules ...jenner.MappingRule) *jenner.Documents {
	return &jenner.Documents{
		Services: []jenner.Service{
			{Name: "checkout", Targets: []jenner.Target{{Kind: "deployment", Name: "web"}, {Kind: "deployment", Name: "worker"}}},
			{Name: "bank"},
		},
		Mappings: []jenner.Mapping{{Name: "m", Rules: rules}},
	}
}

func TestWhoseAnAlertIs(t *testing.T) {
	mapper, err := NewMapper(mappedDocs(
		jenner.MappingRule{Match: map[string]string{"alertname": "Watchdog|Info.*"}, Ignore: true},
		jenner.MappingRule{Match: map[string]string{"namespace": "shop", "deployment": "work.*"}, Service: "checkout", Target: "worker"},
		jenner.MappingRule{Match: map[string]string{"app": ".+"}, Service: "{{ labels.app }}"},
		jenner.MappingRule{Match: map[string]string{"pod": ".+"}, Service: "checkout", Target: `{{ labels.pod.split("-")[0] }}`},
		jenner.MappingRule{Match: map[string]string{"team": "money", "tier": ""}, Service: "bank"},
	))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		labels  string // a=b,c=d
		service string
		target  string
		by      string
	}{
		{"namespace=shop,deployment=worker", "checkout", "deployment/worker", "mapping m rule 2"},
		{"namespace=shop,deployment=homework", "", "", NobodyUnmapped}, // a pattern fits the whole value
		{"namespace=shops,deployment=worker", "", "", NobodyUnmapped},
		{"namespace=shop", "", "", NobodyUnmapped},
		{"app=bank", "bank", "", "mapping m rule 3"},
		{"app=unknown", "", "", NobodyUnmapped},
		{"app=unknown,pod=worker-6d-x", "checkout", "deployment/worker", "mapping m rule 4"}, // the next rule is looked at
		{"pod=other-6d-x", "", "", NobodyUnmapped},
		{"team=money", "bank", "", "mapping m rule 5"}, // a label that is not there is empty
		{"team=money,tier=1", "", "", NobodyUnmapped},
		{"service=bank", "bank", "", "label service"},
		{"service=bank,app=checkout", "checkout", "deployment/web", "mapping m rule 3"}, // rules come before service …
		{"jenner_service=bank,app=checkout", "bank", "", "label jenner_service"},        // … and after jenner_service
		{"jenner_service=nobody,app=checkout", "checkout", "deployment/web", "mapping m rule 3"},
		{"alertname=Watchdog,service=bank", "", "", NobodyIgnored},
		{"", "", "", NobodyUnmapped},
	} {
		t.Run(test.labels, func(t *testing.T) {
			labels := map[string]string{}
			for pair := range strings.SplitSeq(test.labels, ",") {
				name, value, _ := strings.Cut(pair, "=")
				labels[name] = value
			}
			found := mapper.Explain(labels)
			if by := found.By + found.Nobody; found.Service != test.service || found.Target.String() != test.target ||
				!strings.Contains(by, test.by) {
				t.Errorf("got %+v, want %s %s by %s", found, test.service, test.target, test.by)
			}
			service, target, ok := mapper.Map(labels)
			if service != test.service || target != found.Target || ok != (test.service != "") {
				t.Errorf("Map says %q, %v, %v", service, target, ok)
			}
		})
	}
	if saw := mapper.Explain(map[string]string{"pod": "other-1"}).Saw; !strings.Contains(saw, `has no target "other"`) {
		t.Errorf("it saw %q, and must say why rule 4 does not hold", saw)
	}
}

func TestAMappingThatCannotBeReadIsRefused(t *testing.T) {
	for want, rule := range map[string]jenner.MappingRule{
		"match a":       {Match: map[string]string{"a": "("}, Service: "bank"},
		"service":       {Match: map[string]string{"a": "b"}, Service: "{{ labels. }}"},
		"target":        {Match: map[string]string{"a": "b"}, Service: "bank", Target: "{{ other }}"},
		"{{ without }}": {Match: map[string]string{"a": "b"}, Service: "{{ labels.a"},
	} {
		if _, err := NewMapper(mappedDocs(rule)); err == nil || !strings.Contains(err.Error(), "mapping m, rule 1: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v; it must name the rule, and %q", err, want)
		}
	}
}

// TestL5NoAlertIsGivenToAServiceThatIsNotThere: whatever the labels say.
func TestL5NoAlertIsGivenToAServiceThatIsNotThere(t *testing.T) {
	mapper, err := NewMapper(mappedDocs(jenner.MappingRule{Match: map[string]string{"a": ".*"}, Service: "{{ labels.a }}", Target: "{{ labels.b }}"}))
	if err != nil {
		t.Fatal(err)
	}
	word := rapid.OneOf(rapid.SampledFrom([]string{"checkout", "bank", "web", "", "a", "b", "service", "jenner_service"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.MapOf(word, word).Draw(t, "labels")
		service, target, ok := mapper.Map(labels)
		known, is := mapper.docs.Service(service)
		_, has := known.TargetNamed(target.Name)
		if ok != is || ok && target != (jenner.TargetRef{}) && !has {
			t.Errorf("the labels %v gave %q, %v, %v", labels, service, target, ok)
		}
	})
}
