package cluster

import (
	"fmt"

	"github.com/jenner-heal/jenner/test/kubelab/machine"
	"github.com/jenner-heal/jenner/test/kubelab/pki"
)

// ControlPlaneName is the name of the machine with etcd, the API server, the controllers, the scheduler, and the switch
// that the nodes are plugged into.
const ControlPlaneName = "control-plane"

// Where things are in a machine.
const (
	programs = "/opt/kubelab/bin/"
	config   = "/etc/kubernetes/"
)

// Secrets are the keys of a lab.
type Secrets struct {
	Authority                     *pki.Authority
	AccountPrivate, AccountPublic string // of service account tokens
}

// NewSecrets makes new ones.
func NewSecrets() (Secrets, error) {
	authority, err := pki.New("kubelab")
	if err != nil {
		return Secrets{}, err
	}
	private, public, err := pki.KeyPair()
	return Secrets{Authority: authority, AccountPrivate: private, AccountPublic: public}, err
}

// Cluster is all that the machines' specs are made from.
type Cluster struct {
	Plan
	Secrets
	Snapshotter string // containerd's way of keeping the layers of images: overlayfs, or native where the file system cannot do that
	Agent       string // name of the network agent among the programs
}

// Kubeconfig is a client configuration for a user.
func (c Cluster) Kubeconfig(user string, groups ...string) (string, error) {
	pair, err := c.Authority.Issue(user, groups)
	if err != nil {
		return "", err
	}
	return kubeconfig(c.Server(), c.Authority.Certificate, pair), nil
}

// ControlPlane is the machine with everything but pods.
func (c Cluster) ControlPlane() (machine.Spec, error) {
	files, err := c.controlPlaneFiles()
	if err != nil {
		return machine.Spec{}, err
	}
	const api = "tcp 127.0.0.1:6443"
	return machine.Spec{
		Name: ControlPlaneName, Files: files, Memory: []string{"/var/lib/etcd"},
		Net: machine.Net{Address: c.Plan.ControlPlane(), Switch: true, Routes: c.podRoutes(-1)},
		Services: []machine.Service{
			{Name: "etcd", Args: etcd()},
			{Name: "kube-apiserver", Args: apiServer(c.Plan), Await: "tcp 127.0.0.1:2379"},
			{Name: "kube-controller-manager", Args: controllerManager(c.Plan), Await: api},
			{Name: "kube-scheduler", Args: scheduler(), Await: api},
			// The host reaches Services by this machine. It has no Node of its own, and kube-proxy waits long for one that is
			// not there; so it looks at the first node's, and only for that node's name.
			{Name: "kube-proxy", Args: proxy(c.Plan, NodeName(0), c.Plan.ControlPlane().Addr()), Await: api},
			{Name: "dns", Args: []string{programs + c.Agent, "--kubeconfig=" + config + "agent.kubeconfig", "--dns=:53"}, Await: api},
		},
	}, nil
}

func (c Cluster) controlPlaneFiles() (map[string]string, error) {
	files := map[string]string{
		config + "ca.crt": c.Authority.Certificate, config + "ca.key": c.Authority.Key,
		config + "accounts.key": c.AccountPrivate, config + "accounts.pub": c.AccountPublic,
	}
	address := c.Plan.ControlPlane().Addr().String()
	for _, holder := range []struct {
		file, user string
		groups     []string
		hosts      []string
	}{
		{"server", "kube-apiserver", nil, []string{address, "127.0.0.1", c.APIService().String(), "localhost", "kubernetes",
			"kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}},
		{"kubelet-client", "kube-apiserver-kubelet-client", []string{"system:masters"}, nil},
		{"front-proxy", "front-proxy-client", nil, nil},
	} {
		pair, err := c.Authority.Issue(holder.user, holder.groups, holder.hosts...)
		if err != nil {
			return nil, err
		}
		files[config+holder.file+".crt"], files[config+holder.file+".key"] = pair.Certificate, pair.Key
	}
	for file, user := range map[string]string{
		"controller-manager": "system:kube-controller-manager", "scheduler": "system:kube-scheduler", "proxy": "system:kube-proxy",
	} {
		text, err := c.Kubeconfig(user)
		if err != nil {
			return nil, err
		}
		files[config+file+".kubeconfig"] = text
	}
	var err error
	files[config+"agent.kubeconfig"], err = c.agentConfig()
	return files, err
}

// agentConfig is that of the network agent, which is part of the lab and reads whatever it needs.
func (c Cluster) agentConfig() (string, error) {
	return c.Kubeconfig("kubelab-netagent", "system:masters")
}

// etcd keeps everything in memory: a lab is not to wait for a disk that others write to. The slow heartbeat is one of a
// cluster of one, which has nobody to lose.
func etcd() []string {
	return []string{"/usr/bin/etcd", "--name=lab", "--data-dir=/var/lib/etcd/data",
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=lab=http://127.0.0.1:2380", "--heartbeat-interval=250", "--election-timeout=1250",
		"--snapshot-count=10000", "--logger=zap", "--log-level=warn"}
}

func apiServer(plan Plan) []string {
	return []string{programs + "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
		"--secure-port=6443", "--advertise-address=" + plan.ControlPlane().Addr().String(),
		"--service-cluster-ip-range=" + plan.Services().String(),
		"--client-ca-file=" + config + "ca.crt", "--tls-cert-file=" + config + "server.crt", "--tls-private-key-file=" + config + "server.key",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + config + "accounts.pub", "--service-account-signing-key-file=" + config + "accounts.key",
		"--kubelet-certificate-authority=" + config + "ca.crt", "--kubelet-client-certificate=" + config + "kubelet-client.crt",
		"--kubelet-client-key=" + config + "kubelet-client.key", "--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + config + "ca.crt", "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + config + "front-proxy.crt", "--proxy-client-key-file=" + config + "front-proxy.key",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		fmt.Sprintf("--default-not-ready-toleration-seconds=%d", Eviction), fmt.Sprintf("--default-unreachable-toleration-seconds=%d", Eviction),
		"--profiling=false", "--shutdown-delay-duration=0s", "--max-requests-inflight=800"}
}

// How fast a node is noticed to be lost. Where it is left out, Kubernetes takes 50 s, and 300 s more until pods are moved.
const (
	NodeGrace = 10 // seconds without a word until a node is not ready
	Eviction  = 5  // seconds that pods stay bound to a node that is not ready
)

func controllerManager(plan Plan) []string {
	kubeconfig := config + "controller-manager.kubeconfig"
	return []string{programs + "kube-controller-manager", "--kubeconfig=" + kubeconfig, "--bind-address=127.0.0.1",
		"--leader-elect=false", "--use-service-account-credentials=true",
		"--service-account-private-key-file=" + config + "accounts.key", "--root-ca-file=" + config + "ca.crt",
		"--cluster-signing-cert-file=" + config + "ca.crt", "--cluster-signing-key-file=" + config + "ca.key",
		"--cluster-cidr=" + plan.Pods().String(), "--allocate-node-cidrs=false", "--service-cluster-ip-range=" + plan.Services().String(),
		fmt.Sprintf("--node-monitor-grace-period=%ds", NodeGrace), "--node-monitor-period=1s", "--profiling=false",
		"--horizontal-pod-autoscaler-sync-period=2s", // 15 s, where it is not said
		"--flex-volume-plugin-dir=/var/lib/kubelet/plugins-exec",
		"--kube-api-qps=200", "--kube-api-burst=400"} // each controller's first token would be waited for otherwise
}

func scheduler() []string {
	return []string{programs + "kube-scheduler", "--kubeconfig=" + config + "scheduler.kubeconfig", "--bind-address=127.0.0.1",
		"--leader-elect=false", "--profiling=false"}
}
