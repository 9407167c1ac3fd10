// Package cluster says what a Kubernetes cluster is made of: its addresses, its certificates, and for each machine the
// files and the command lines of its services.
//
// It is for the decisions; package machine carries them out. It is not for running anything: apart from certificates,
// which are new each time, the same plan gives the same specs.
package cluster
