package cluster

import (
	"encoding/base64"
	"fmt"

	"github.com/jenner-heal/jenner/test/kubelab/pki"
)

// kubeconfig is a client configuration that holds all it needs, so that it may be copied.
func kubeconfig(server, authority string, pair pki.Pair) string {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster: {server: %q, certificate-authority-data: %s}
users:
- name: lab
  user: {client-certificate-data: %s, client-key-data: %s}
contexts:
- name: lab
  context: {cluster: lab, user: lab}
current-context: lab
`, server, encode(authority), encode(pair.Certificate), encode(pair.Key))
}
