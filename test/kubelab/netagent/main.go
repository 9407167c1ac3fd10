// Command netagent does for a lab's network what Kubernetes leaves to others: NetworkPolicies on a node, and DNS.
//
// It is for machines of the lab, one process each. What the rules and the answers are is for packages policy and names
// to say; it is not for the routes between pods, which are made when the machines are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jenner-heal/jenner/test/kubelab/names"
	"github.com/jenner-heal/jenner/test/kubelab/policy"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "client configuration")
	node := flag.String("policies", "", "hold the NetworkPolicies of this node")
	dns := flag.String("dns", "", "answer DNS on this UDP address")
	flag.Parse()
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *kubeconfig, *node, *dns); err != nil && ctx.Err() == nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, node, dns string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	switch {
	case node != "" && dns == "":
		return hold(ctx, factory, node)
	case dns != "" && node == "":
		return answer(ctx, factory, dns)
	}
	return errors.New("say either --policies or --dns")
}

// hold writes the rules anew after each change, and not more often than the kernel takes them.
func hold(ctx context.Context, factory informers.SharedInformerFactory, node string) error {
	pods, namespaces, policies := factory.Core().V1().Pods(), factory.Core().V1().Namespaces(), factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	note := func() {
		select {
		case changed <- struct{}{}:
		default: // one is noted already
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: func(any) { note() }, UpdateFunc: func(any, any) { note() }, DeleteFunc: func(any) { note() }}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	held := ""
	for {
		world, err := worldOf(pods.Lister(), namespaces.Lister())
		if err != nil {
			return err
		}
		if world.Policies, err = policies.Lister().List(labels.Everything()); err != nil {
			return err
		}
		rules, err := policy.Rules(node, world)
		if err == nil && rules != held {
			err = load(ctx, rules)
		}
		if err != nil {
			return err // it is started again, and what was held goes on holding meanwhile
		}
		held = rules
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

func worldOf(pods corelisters.PodLister, namespaces corelisters.NamespaceLister) (policy.World, error) {
	world := policy.World{Namespaces: map[string]labels.Set{}}
	var err error
	if world.Pods, err = pods.List(labels.Everything()); err != nil {
		return world, err
	}
	all, err := namespaces.List(labels.Everything())
	for _, one := range all {
		world.Namespaces[one.Name] = one.Labels
	}
	return world, err
}

// load replaces the rules in one step; on an error those before stay.
func load(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w\n%s\nof the rules\n%s", err, said, rules)
	}
	return nil
}

// directory looks names up in what the informers know.
type directory struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func (d directory) Service(namespace, name string) (*corev1.Service, bool) {
	service, err := d.services.Services(namespace).Get(name)
	return service, err == nil
}

func (d directory) Slices(namespace, service string) []*discoveryv1.EndpointSlice {
	found, err := d.slices.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}))
	if err != nil {
		log.Print(err)
	}
	return found
}

func answer(ctx context.Context, factory informers.SharedInformerFactory, address string) error {
	d := directory{factory.Core().V1().Services().Lister(), factory.Discovery().V1().EndpointSlices().Lister()}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	socket, err := net.ListenPacket("udp4", address)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { socket.Close() })
	buffer := make([]byte, 4096)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if text := names.Answer(d, buffer[:n]); text != nil {
			_ = socket.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := socket.WriteTo(text, from); err != nil {
				log.Print(err)
			}
		}
	}
}
