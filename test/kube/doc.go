// Package kube tests the cluster that all other tests of Kubernetes stand on, so that a lab that does less than a real
// cluster is found here and not in somebody's scenario; and that Jenner, as an image, can be installed in it with the
// commands of the guide, and heals.
//
// Its tests have the build tag kube and run against the cluster that KUBECONFIG names: `make e2e-kube`. It is not for
// tests of Jenner's packages: those stand beside them.
package kube
