package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
)

func TestCertificatesAreGoodForWhatTheySay(t *testing.T) {
	authority, err := New("lab")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue("system:node:node1", []string{"system:nodes"}, "node1", "10.96.0.10")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tls.X509KeyPair([]byte(pair.Certificate), []byte(pair.Key))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(authority.Certificate)) {
		t.Fatal("the authority's certificate cannot be read")
	}
	leaf := loaded.Leaf
	if leaf.Subject.CommonName != "system:node:node1" || len(leaf.Subject.Organization) != 1 || leaf.Subject.Organization[0] != "system:nodes" {
		t.Errorf("the subject is %v", leaf.Subject)
	}
	for name, good := range map[string]bool{"node1": true, "10.96.0.10": true, "node2": false} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if (err == nil) != good {
			t.Errorf("as server %s: %v", name, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("as client: %v", err)
	}
	other, err := New("lab")
	if err != nil {
		t.Fatal(err)
	}
	strangers := x509.NewCertPool()
	strangers.AppendCertsFromPEM([]byte(other.Certificate))
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: strangers}); err == nil {
		t.Error("another lab of the same name takes it")
	}
}

func TestKeyPair(t *testing.T) {
	private, public, err := KeyPair()
	if err != nil {
		t.Fatal(err)
	}
	decode := func(text string) []byte {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			t.Fatalf("%q is not PEM", text)
		}
		return block.Bytes
	}
	key, err := x509.ParsePKCS8PrivateKey(decode(private))
	if err != nil {
		t.Fatal(err)
	}
	half, err := x509.ParsePKIXPublicKey(decode(public))
	if err != nil {
		t.Fatal(err)
	}
	if !key.(*ecdsa.PrivateKey).PublicKey.Equal(half) {
		t.Error("the halves belong to different keys")
	}
}
