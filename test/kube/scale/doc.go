// Package scale measures Jenner where there are thousands of pods: its memory, how soon it notices that a pod fails, and what
// it asks of the API server, against bounds that it must keep.
//
// It has one benchmark with the build tag kube, which runs `jenner serve` as it is run in production against the cluster that
// KUBECONFIG names: `make bench-kube`. The API server, the controllers and the scheduler are real; the nodes are those of kwok,
// so no containers run. It is not for tests of what Jenner does: those stand beside the code.
package scale
