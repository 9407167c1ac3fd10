package names

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type fixed map[string]*corev1.Service

func (f fixed) Service(namespace, name string) (*corev1.Service, bool) {
	service, ok := f[namespace+"/"+name]
	return service, ok
}

func (f fixed) Slices(namespace, service string) []*discoveryv1.EndpointSlice {
	yes, no, host := true, false, "db-0"
	slice := &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{
		{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}},
		{Addresses: []string{"10.0.0.1"}, Hostname: &host},
		{Addresses: []string{"10.0.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}},
	}}
	return []*discoveryv1.EndpointSlice{slice, slice} // what is in two slices is one thing
}

func service(name, address string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.ServiceSpec{ClusterIP: address}}
}

var directory = func() fixed {
	f := fixed{"shop/web": service("web", "10.96.128.7"), "shop/db": service("db", "None"), "shop/all": service("all", "None"), "shop/out": service("out", "")}
	f["shop/all"].Spec.PublishNotReadyAddresses = true
	f["shop/out"].Spec.Type = corev1.ServiceTypeExternalName
	return f
}()

func TestLookup(t *testing.T) {
	for name, want := range map[string]string{
		"web.shop.svc.cluster.local.":       "[10.96.128.7] true",
		"Web.Shop.svc.cluster.local.":       "[10.96.128.7] true",
		"db.shop.svc.cluster.local.":        "[10.0.0.1 10.0.0.2] true",
		"db-0.db.shop.svc.cluster.local.":   "[10.0.0.1] true",
		"db-1.db.shop.svc.cluster.local.":   "[] false",
		"all.shop.svc.cluster.local.":       "[10.0.0.1 10.0.0.2 10.0.0.3] true",
		"out.shop.svc.cluster.local.":       "[] false",
		"web.other.svc.cluster.local.":      "[] false",
		"shop.svc.cluster.local.":           "[] false",
		"a.web.shop.svc.cluster.local.":     "[] false",
		"a.b.web.shop.svc.cluster.local.":   "[] false",
		"web.shop.svc.cluster.local.extra.": "[] false",
		"example.org.":                      "[] false",
	} {
		found, exists := Lookup(directory, name)
		if got := fmt.Sprint(found, exists); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
}

func ask(t *testing.T, name string, kind dnsmessage.Type) dnsmessage.Message {
	t.Helper()
	question := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
	asked, err := question.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var answer dnsmessage.Message
	if err := answer.Unpack(Answer(directory, asked)); err != nil {
		t.Fatal(err)
	}
	if answer.ID != 7 || !answer.Response || !slices.Equal(answer.Questions, question.Questions) {
		t.Errorf("%s: the answer belongs to another question: %+v", name, answer)
	}
	return answer
}

// TestAnAnswerFits: a headless Service with hundreds of pods is answered with as many of them as a plain message holds.
func TestAnAnswerFits(t *testing.T) {
	many := manyPods{directory}
	question := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("db.shop.svc.cluster.local."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	asked, err := question.Pack()
	if err != nil {
		t.Fatal(err)
	}
	text := Answer(many, asked)
	var answer dnsmessage.Message
	if err := answer.Unpack(text); err != nil || len(text) > 512 || len(text) <= 512-16 {
		t.Errorf("%d answers in %d bytes, %v", len(answer.Answers), len(text), err)
	}
}

type manyPods struct{ fixed }

func (manyPods) Slices(string, string) []*discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{}
	for i := range 200 {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.0.0.%d", i)}})
	}
	return []*discoveryv1.EndpointSlice{slice}
}

func TestAnswer(t *testing.T) {
	answer := ask(t, "web.shop.svc.cluster.local.", dnsmessage.TypeA)
	if body, ok := answer.Answers[0].Body.(*dnsmessage.AResource); !ok || body.A != [4]byte{10, 96, 128, 7} || answer.Answers[0].Header.TTL != TTL {
		t.Errorf("%+v", answer)
	}
	// A name that exists has no address of this kind, which is not the same as no such name: a client would give up.
	if answer := ask(t, "web.shop.svc.cluster.local.", dnsmessage.TypeAAAA); answer.RCode != dnsmessage.RCodeSuccess || len(answer.Answers) != 0 {
		t.Errorf("%+v", answer)
	}
	if answer := ask(t, "example.org.", dnsmessage.TypeA); answer.RCode != dnsmessage.RCodeNameError {
		t.Errorf("%+v", answer)
	}
	for _, text := range [][]byte{nil, []byte("nonsense"), make([]byte, 12)} {
		if got := Answer(directory, text); got != nil {
			t.Errorf("%q is answered with %q", text, got)
		}
	}
}
