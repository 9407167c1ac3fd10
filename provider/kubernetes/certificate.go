package kubernetes

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What is kept of a certificate, as annotations of the trimmed Secret.
const (
	annotationEnds = "jenner.dev/not-after"  // when it ends
	annotationWarn = "jenner.dev/warn-after" // when it should have been renewed
)

// trimSecret keeps the names of the keys, each with a digest of its value that means nothing outside of this process, and
// of a certificate when it ends. Neither a value nor a key is kept.
func trimSecret(s *corev1.Secret) {
	ends, warn := lifetime(s.Data[corev1.TLSCertKey])
	trimMeta(&s.ObjectMeta, nil, fieldData, fieldStrings)
	for key, value := range s.Data {
		s.Data[key] = []byte(digest(value))
		clear(value)
	}
	s.StringData = nil
	if !ends.IsZero() {
		s.Annotations = map[string]string{annotationEnds: ends.UTC().Format(time.RFC3339), annotationWarn: warn.UTC().Format(time.RFC3339)}
	}
}

// longestWarning is how long before its end a certificate should have been renewed at the latest.
const longestWarning = 14 * 24 * time.Hour

// lifetime is when the first certificate of a chain ends, the one that is shown to clients, and when that is worth a
// warning: when a sixth of its life is left, for whoever renews certificates does it when a third is left, but two weeks at
// most. Zero times where there is none.
func lifetime(chain []byte) (ends, warn time.Time) {
	block, _ := pem.Decode(chain)
	if block == nil || block.Type != "CERTIFICATE" {
		return time.Time{}, time.Time{}
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	life := certificate.NotAfter.Sub(certificate.NotBefore)
	return certificate.NotAfter, certificate.NotAfter.Add(-min(longestWarning, life/6))
}
