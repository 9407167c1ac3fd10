// Package machine starts machines: a process of number 1 in namespaces of its own (files, processes, network, name),
// with its own root file system, its own interface and a list of services that it keeps running.
//
// A machine ends as one whose plug is pulled: its first process is killed and the kernel ends every process in it, with
// its mounts and its network. What it had written under /var is still there when it is started again.
//
// It is for the lab's control plane and nodes. It is not for workloads, which the cluster runs, and it isolates nothing
// from somebody who wants to get out: all of it is root.
package machine
