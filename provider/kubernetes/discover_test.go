package kubernetes

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
)

func labelledAs(kind, namespace, name, service string, annotations ...string) labelled {
	m := labelled{kind, metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{LabelService: service}, Annotations: map[string]string{}}}
	for i := 0; i+1 < len(annotations); i += 2 {
		m.Annotations[annotations[i]] = annotations[i+1]
	}
	return m
}

func TestServicesOf(t *testing.T) {
	found := []labelled{
		labelledAs(kindDeployment, "shop", "web", "shop", AnnotationOwner, "shop-team", AnnotationTier, "1", AnnotationDependsOn, "till, db"),
		labelledAs(kindStatefulSet, "shop", "queue", "shop", AnnotationOwner, "shop-team", AnnotationDependsOn, "db,", AnnotationEnvironment, "production"),
		labelledAs(kindStatefulSet, "data", "db", "db", AnnotationDescription, "Orders"),
		labelledAs(kindDaemonSet, "data", "db", "db"),
		labelledAs(kindStatefulSet, "data2", "db", "db"),
	}
	reaches := jenner.Params{"context": jenner.Raw("prod")}
	target := func(kind, name, namespace, object string) jenner.Target {
		return jenner.Target{Kind: kind, Name: name, Params: jenner.Params{"namespace": jenner.Raw(namespace), "object": jenner.Raw(object), "context": jenner.Raw("prod")}}
	}
	want := []jenner.Service{
		{Name: "db", Description: "Orders", Targets: []jenner.Target{target(kindDaemonSet, "db.daemonset.data", "data", "db"),
			target(kindStatefulSet, "db.statefulset.data", "data", "db"), target(kindStatefulSet, "db.statefulset.data2", "data2", "db")}},
		{Name: "shop", Owner: "shop-team", Tier: 1, Environment: "production", DependsOn: []string{"db", "till"},
			Targets: []jenner.Target{target(kindStatefulSet, "queue", "shop", "queue"), target(kindDeployment, "web", "shop", "web")}},
	}
	for range 3 { // the API server gives them in any order
		got, err := servicesOf(found, reaches)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("%v %s", err, diff)
		}
		for _, service := range got {
			for _, one := range service.Targets {
				if decoded, err := decode(one); err != nil || decoded.Object == "" || strings.Contains(one.Name, "/") {
					t.Errorf("target %s: %v", one.Name, err)
				}
			}
		}
		found[0], found[3] = found[3], found[0]
		found[1], found[4] = found[4], found[1]
	}
}

func TestServicesThatContradictThemselves(t *testing.T) {
	right := labelledAs(kindDeployment, "shop", "till", "till")
	for name, c := range map[string]struct {
		wrong []labelled
		says  string
	}{
		"two owners": {[]labelled{labelledAs(kindDeployment, "shop", "web", "shop", AnnotationOwner, "a"), labelledAs(kindDeployment, "shop", "web2", "shop", AnnotationOwner, "b")},
			`service shop: jenner.dev/owner is "a" on deployment shop/web and "b" on deployment shop/web2`},
		"no tier":      {[]labelled{labelledAs(kindDeployment, "shop", "web", "shop", AnnotationTier, "high")}, `jenner.dev/tier is "high" on deployment shop/web`},
		"a tier of 0":  {[]labelled{labelledAs(kindDeployment, "shop", "web", "shop", AnnotationTier, "0")}, `jenner.dev/tier is "0"`},
		"without name": {[]labelled{labelledAs(kindDeployment, "shop", "web", "")}, "the label jenner.dev/service of deployment shop/web is empty"},
	} {
		got, err := servicesOf(append(c.wrong, right), nil)
		if err == nil || !strings.Contains(err.Error(), c.says) || jenner.NextAfter(err) != jenner.TellHuman {
			t.Errorf("%s: %v", name, err)
		}
		if len(got) != 1 || got[0].Name != "till" {
			t.Errorf("%s: beside it there are %+v", name, got)
		}
	}
}
