// Package lab starts and stops a Kubernetes cluster on this host, and its nodes one by one.
//
// It is for tests: a cluster that is there within a quarter of a minute, breaks like a real one, and leaves nothing
// behind. It is not for clusters that somebody relies on: everything is root on one host, and etcd keeps nothing.
package lab
