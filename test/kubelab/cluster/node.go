package cluster

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

// PauseImage is the image of the process that holds a pod's namespaces.
const PauseImage = "docker.io/jenner-test/pause:v1"

// Socket is containerd's socket in a node.
const Socket = "/run/containerd/containerd.sock"

// Node is a machine that runs pods; the first is 0.
func (c Cluster) Node(i int) (machine.Spec, error) {
	name, address := NodeName(i), c.Plan.Node(i).Addr()
	group := c.Name() + "/" + name
	pair, err := c.Authority.Issue("system:node:"+name, []string{"system:nodes"}, name, address.String())
	if err != nil {
		return machine.Spec{}, err
	}
	proxyConfig, err := c.Kubeconfig("system:kube-proxy")
	if err != nil {
		return machine.Spec{}, err
	}
	agentConfig, err := c.agentConfig()
	if err != nil {
		return machine.Spec{}, err
	}
	files := map[string]string{
		config + "ca.crt": c.Authority.Certificate, config + "node.crt": pair.Certificate, config + "node.key": pair.Key,
		config + "node.kubeconfig":       kubeconfig(c.Server(), c.Authority.Certificate, pair),
		config + "proxy.kubeconfig":      proxyConfig,
		config + "agent.kubeconfig":      agentConfig,
		config + "kubelet.yaml":          kubelet(c.Plan, group),
		"/etc/containerd/config.toml":    containerd(c.Snapshotter),
		"/etc/cni/net.d/10-lab.conflist": podNetwork(c.NodePods(i)),
	}
	return machine.Spec{
		Name: name, Group: group, Files: files,
		Net: machine.Net{Address: c.Plan.Node(i), Routes: c.podRoutes(i)},
		Services: []machine.Service{
			{Name: "containerd", Args: []string{"/usr/bin/containerd", "--config=/etc/containerd/config.toml", "--log-level=info"}},
			{Name: "kubelet", Await: "unix " + Socket, Args: []string{programs + "kubelet", "--config=" + config + "kubelet.yaml",
				"--kubeconfig=" + config + "node.kubeconfig", "--hostname-override=" + name, "--node-ip=" + address.String(),
				"--node-labels=topology.kubernetes.io/region=lab,topology.kubernetes.io/zone=zone-" + fmt.Sprint(i+1), "--v=1"}},
			{Name: "kube-proxy", Args: proxy(c.Plan, name, address)},
			{Name: "policies", Args: []string{programs + c.Agent, "--kubeconfig=" + config + "agent.kubeconfig", "--policies=" + name}},
		},
	}, nil
}

// proxy is the command line of kube-proxy. What it cannot set in a network namespace of its own it is told to leave.
func proxy(plan Plan, node string, address netip.Addr) []string {
	return []string{programs + "kube-proxy", "--kubeconfig=" + config + "proxy.kubeconfig", "--hostname-override=" + node,
		"--bind-address=" + address.String(), "--proxy-mode=nftables", "--cluster-cidr=" + plan.Pods().String(),
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
		"--oom-score-adj=0", "--nodeport-addresses=primary"}
}

// kubelet is its configuration. A status that says nothing new is sent every minute, and a lease, which says that the
// node is alive, every 2 s, a quarter of its length.
func kubelet(plan Plan, group string) string {
	return `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: ` + config + `ca.crt}
authorization: {mode: Webhook}
tlsCertFile: ` + config + `node.crt
tlsPrivateKeyFile: ` + config + `node.key
containerRuntimeEndpoint: unix://` + Socket + `
imageServiceEndpoint: unix://` + Socket + `
cgroupDriver: cgroupfs
cgroupRoot: /` + group + `
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: true
enforceNodeAllocatable: []
oomScoreAdj: 0
nodeStatusUpdateFrequency: 2s
nodeStatusReportFrequency: 1m
nodeLeaseDurationSeconds: 8
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
serializeImagePulls: false
registerWithTaints: []
clusterDomain: cluster.local
clusterDNS: [` + plan.ControlPlane().Addr().String() + `]
resolvConf: /etc/resolv.conf
volumePluginDir: /var/lib/kubelet/plugins-exec
`
}

// containerd is its configuration. restrict_oom_score_adj lets it work without CAP_SYS_RESOURCE.
func containerd(snapshotter string) string {
	return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "` + Socket + `"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + PauseImage + `"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "` + snapshotter + `"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
`
}

// podNetwork gives each pod a pair of interfaces and a route, without a bridge: so everything between pods is forwarded
// by their node, where Services are translated and policies hold, whatever the kernel filters on bridges.
func podNetwork(pods netip.Prefix) string {
	text, err := json.MarshalIndent(map[string]any{
		"cniVersion": "0.4.0", "name": "lab",
		"plugins": []any{map[string]any{
			"type": "ptp", "ipMasq": false,
			"ipam": map[string]any{
				"type": "host-local", "dataDir": "/run/cni-addresses",
				"ranges": []any{[]any{map[string]string{"subnet": pods.String()}}},
				"routes": []any{map[string]string{"dst": "0.0.0.0/0"}},
			},
		}},
	}, "", "  ")
	if err != nil {
		panic(err) // of strings and maps only
	}
	return string(text)
}
