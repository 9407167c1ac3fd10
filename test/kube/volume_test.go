//go:build kube

package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// haveVolume makes a volume for Jenner's claim, where the cluster has no default storage class that would: a folder of a node.
// A pod makes the folder; the kubelet gives it to Jenner's group.
func (g *guide) haveVolume() {
	g.t.Helper()
	classes, err := g.StorageV1().StorageClasses().List(g.t.Context(), metav1.ListOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, class := range classes.Items {
		if class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			return
		}
	}
	grace, folder := int64(0), "/var/lib/jenner-test-"+g.uid()
	kind := corev1.HostPathDirectoryOrCreate
	pod, err := g.CoreV1().Pods(shop).Create(g.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "folder"}, Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{Name: "app", Image: "jenner-test/app:v1", ImagePullPolicy: corev1.PullNever, VolumeMounts: []corev1.VolumeMount{{Name: "folder", MountPath: "/folder"}}}},
		Volumes:    []corev1.Volume{{Name: "folder", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder, Type: &kind}}}}}}, metav1.CreateOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, "the folder of the volume is made", func(ctx context.Context) error {
		if pod, err = g.CoreV1().Pods(shop).Get(ctx, "folder", metav1.GetOptions{}); err == nil && pod.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("the pod is %+v", pod.Status)
		}
		return err
	})
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{GenerateName: "jenner-test-"}, Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		ClaimRef:                      &corev1.ObjectReference{Namespace: home, Name: "jenner"},
		PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: folder}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{pod.Spec.NodeName}}}}}}}}}
	volumes := g.CoreV1().PersistentVolumes()
	if volume, err = volumes.Create(g.t.Context(), volume, metav1.CreateOptions{}); err != nil {
		g.t.Fatal(err)
	}
	g.ends = append(g.ends, func(ctx context.Context) error { return volumes.Delete(ctx, volume.Name, metav1.DeleteOptions{}) })
}

// uid names what is no namespace's.
func (g *guide) uid() string {
	g.t.Helper()
	found, err := g.CoreV1().Namespaces().Get(g.t.Context(), shop, metav1.GetOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	return string(found.UID)
}
