// Package kubernetes watches, heals and breaks what runs in Kubernetes clusters: workloads, pods, nodes, jobs and their
// configuration, through the API server alone.
//
// It is for objects that Kubernetes itself knows, changed as any other client changes them: with preconditions, under a
// field manager of its own, and dry runs by the API server. It is not for what runs inside of pods (the providers of those
// technologies are), and it is no controller: it changes something once, when a step says so, and never insists.
package kubernetes

import "github.com/jenner-heal/jenner/internal/catalog"

// The kinds of targets.
const (
	kindDeployment  = "deployment"
	kindStatefulSet = "statefulset"
	kindDaemonSet   = "daemonset"
	kindPod         = "pod"
	kindNode        = "node"
	kindJob         = "job"
	kindHPA         = "hpa"
	kindPVC         = "pvc"
	kindConfigMap   = "configmap"
	kindSecret      = "secret"
	kindHelm        = "helm"
)

// workloadKinds are the kinds that keep pods alive.
var workloadKinds = []string{kindDeployment, kindStatefulSet, kindDaemonSet}

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "kubernetes", Doc: "Objects of Kubernetes clusters", Kinds: []string{kindDeployment, kindStatefulSet,
	kindDaemonSet, kindPod, kindNode, kindJob, kindHPA, kindPVC, kindConfigMap, kindSecret, kindHelm}}

// fieldManager is under which name Jenner changes objects.
const fieldManager = "jenner"
