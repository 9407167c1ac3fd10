package kubernetes

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// The indexes of what is watched.
const (
	byKeeper = "keeper" // NAMESPACE/KIND/NAME of what controls it
	byNode   = "node"
	byLabel  = "service" // NAMESPACE/NAME of the Service that an EndpointSlice is of
)

func core(c kubernetes.Interface) rest.Interface { return c.CoreV1().RESTClient() }
func apps(c kubernetes.Interface) rest.Interface { return c.AppsV1().RESTClient() }

// What is watched, and no more of it than is used.
var (
	thePods = &watchable{name: "pods", client: core, object: &corev1.Pod{}, trim: trimmed(trimPod),
		index: cache.Indexers{byKeeper: indexed(func(p *corev1.Pod) string { return keeperKey(p.Namespace, keeperOf(p)) }),
			byNode: indexed(func(p *corev1.Pod) string { return p.Spec.NodeName })}}
	theNodes       = &watchable{name: "nodes", wide: true, client: core, object: &corev1.Node{}, trim: trimmed(trimNode)}
	thePodWarnings = &watchable{name: "events", selector: "type=Warning,involvedObject.kind=Pod", client: core, object: &corev1.Event{},
		trim: trimmed(trimEvent), index: warningsOf}
	theClaimWarnings = &watchable{name: "events", selector: "type=Warning,involvedObject.kind=PersistentVolumeClaim", client: core,
		object: &corev1.Event{}, trim: trimmed(trimEvent), index: warningsOf}
	theDeployments  = &watchable{name: "deployments", group: "apps", client: apps, object: &appsv1.Deployment{}, trim: trimmed(trimDeployment)}
	theStatefulSets = &watchable{name: "statefulsets", group: "apps", client: apps, object: &appsv1.StatefulSet{}, trim: trimmed(trimStatefulSet)}
	theDaemonSets   = &watchable{name: "daemonsets", group: "apps", client: apps, object: &appsv1.DaemonSet{}, trim: trimmed(trimDaemonSet)}
	theReplicaSets  = &watchable{name: "replicasets", group: "apps", client: apps, object: &appsv1.ReplicaSet{}, trim: trimmed(trimReplicaSet),
		index: controlled[*appsv1.ReplicaSet]()}
	theRevisions = &watchable{name: "controllerrevisions", group: "apps", client: apps, object: &appsv1.ControllerRevision{},
		trim: trimmed(trimRevision), index: controlled[*appsv1.ControllerRevision]()}
	theAutoscalers = &watchable{name: "horizontalpodautoscalers", group: "autoscaling", object: &autoscalingv2.HorizontalPodAutoscaler{},
		client: func(c kubernetes.Interface) rest.Interface { return c.AutoscalingV2().RESTClient() }, trim: trimmed(trimAutoscaler)}
	theJobs = &watchable{name: "jobs", group: "batch", object: &batchv1.Job{},
		client: func(c kubernetes.Interface) rest.Interface { return c.BatchV1().RESTClient() }, trim: trimmed(trimJob),
		index: controlled[*batchv1.Job]()}
	theClaims     = &watchable{name: "persistentvolumeclaims", client: core, object: &corev1.PersistentVolumeClaim{}, trim: trimmed(trimClaim)}
	theConfigMaps = &watchable{name: "configmaps", client: core, object: &corev1.ConfigMap{}, trim: trimmed(trimConfigMap)}
	theSecrets    = &watchable{name: "secrets", client: core, object: &corev1.Secret{}, trim: trimmed(trimSecret)}
	theSlices     = &watchable{name: "endpointslices", group: "discovery.k8s.io", object: &discoveryv1.EndpointSlice{},
		client: func(c kubernetes.Interface) rest.Interface { return c.DiscoveryV1().RESTClient() }, trim: trimmed(trimSlice),
		index: cache.Indexers{byLabel: indexed(func(s *discoveryv1.EndpointSlice) string {
			return s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]
		})}}
)

// workloadsOf are the resources of the kinds that keep pods alive.
var workloadsOf = map[string]*watchable{kindDeployment: theDeployments, kindStatefulSet: theStatefulSets, kindDaemonSet: theDaemonSets}

// warningsOf finds the events of an object by its name.
var warningsOf = cache.Indexers{byKeeper: indexed(func(e *corev1.Event) string {
	return keeperKey(e.Namespace, keeper{e.InvolvedObject.Kind, e.InvolvedObject.Name})
})}

func indexed[T any](key func(T) string) cache.IndexFunc {
	return func(from any) ([]string, error) {
		one, is := asObject[T](from)
		if !is {
			return nil, nil
		}
		if found := key(one); found != "" {
			return []string{found}, nil
		}
		return nil, nil
	}
}

// controlled indexes by what controls an object.
func controlled[T metav1.Object]() cache.Indexers {
	return cache.Indexers{byKeeper: indexed(func(one T) string {
		controller := metav1.GetControllerOf(one)
		if controller == nil {
			return ""
		}
		return keeperKey(one.GetNamespace(), keeper{controller.Kind, controller.Name})
	})}
}

// keeper is what keeps an object alive.
type keeper struct{ kind, name string }

func keeperKey(namespace string, of keeper) string {
	if of == (keeper{}) {
		return ""
	}
	return namespace + "/" + of.kind + "/" + of.name
}
