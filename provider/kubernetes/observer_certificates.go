package kubernetes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Observer("certificates", "CertificateExpiring and CertificateExpired of the Secrets that are targets",
		func() telemetry.Observer { return &ObserverCertificates{} }, kindSecret)
}

// ObserverCertificates tells when the certificate in a Secret (tls.crt) comes near its end: CertificateExpiring, for people
// in the morning, when a sixth of its life is left, or two weeks; and CertificateExpired. Only Secrets that are targets are
// looked at, each alone, for it takes the right to read them. Nothing of a Secret is kept but the names of its keys, digests
// that mean nothing to others, and when the certificate ends.
type ObserverCertificates struct{}

// Observe watches until ctx ends.
func (*ObserverCertificates) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	return observeRealms(ctx, alone(realmsOf(services, []string{kindSecret}, sink)), sink, observeCertificate)
}

// Reasons are the words for certificates.
func (*ObserverCertificates) Reasons() []string { return []string{reasonExpiring, reasonExpired} }

// Rights are to list and watch this one Secret.
func (*ObserverCertificates) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return theSecrets.rights(t, t.Object), nil
}

// alone gives each object a realm of its own: of Secrets, that one may be looked at does not mean that all may be. Subjects
// that are the same object stay together.
func alone(realms []*realm) []*realm {
	var list []*realm
	for _, in := range realms {
		byObject := map[string]*realm{}
		for _, one := range in.subjects {
			own := byObject[one.target.Object]
			if own == nil {
				own = &realm{cluster: in.cluster, tower: in.tower, namespace: in.namespace}
				byObject[one.target.Object] = own
				list = append(list, own)
			}
			own.subjects = append(own.subjects, one)
		}
	}
	return list
}

func observeCertificate(_ context.Context, v *view) {
	name := v.subjects[0].target.Object
	secrets := needs(v, theSecrets, name, func(s *corev1.Secret) []string { return []string{s.Name} })
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		secret, found := cached[*corev1.Secret](secrets, v.namespace, key)
		if !found {
			return nil, time.Time{}
		}
		states, again := certificateFacts(secret, now)
		return v.conditions(states, func(subject) bool { return true }), again
	}
}

// The reasons that are told of certificates. Kubernetes has no words for them.
const (
	reasonExpiring = "CertificateExpiring"
	reasonExpired  = "CertificateExpired"
)

func certificateFacts(secret *corev1.Secret, now time.Time) ([]fact, time.Time) {
	ends, err := time.Parse(time.RFC3339, secret.Annotations[annotationEnds])
	warn, also := time.Parse(time.RFC3339, secret.Annotations[annotationWarn])
	if err != nil || also != nil {
		return nil, time.Time{} // it holds no certificate
	}
	s := fact{object: kindSecret + "/" + secret.Name, labels: map[string]string{"not_after": ends.UTC().Format(time.RFC3339)}}
	switch {
	case now.Before(warn):
		return nil, warn
	case now.Before(ends):
		s.reason, s.since, s.severity = reasonExpiring, warn, jenner.SeverityTicket
		s.summary = fmt.Sprintf("the certificate in secret %s ends at %s and was not renewed yet", secret.Name, ends.UTC().Format(time.RFC3339))
		return []fact{s}, ends
	}
	s.reason, s.since = reasonExpired, ends
	s.summary = fmt.Sprintf("the certificate in secret %s ended at %s", secret.Name, ends.UTC().Format(time.RFC3339))
	return []fact{s}, time.Time{}
}
