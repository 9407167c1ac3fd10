//go:build kube

package kubernetes

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// limited is a kubeconfig of a service account that has exactly these rights.
func (g *ground) limited(rights []jenner.Right) string {
	g.t.Helper()
	account := "jenner-" + jenner.Fingerprint(g.ns, jsonOf(rights), time.Now().String())
	rules := map[string][]rbacv1.PolicyRule{}
	for _, right := range rights {
		rule := rbacv1.PolicyRule{Verbs: []string{right.Verb}, APIGroups: []string{right.Group}, Resources: []string{right.Resource}}
		if right.Name != "" {
			rule.ResourceNames = []string{right.Name}
		}
		where := right.Namespace
		if where == "" && !right.Clusterwide {
			where = g.ns
		}
		rules[where] = append(rules[where], rule)
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: g.ns}}
	meta := metav1.ObjectMeta{Name: account}
	for namespace, here := range rules {
		roles, bindings, kind := schema.GroupVersionResource{Group: rbacv1.GroupName, Version: "v1", Resource: "roles"},
			schema.GroupVersionResource{Group: rbacv1.GroupName, Version: "v1", Resource: "rolebindings"}, "Role"
		if namespace == "" {
			roles.Resource, bindings.Resource, kind = "clusterroles", "clusterrolebindings", "ClusterRole"
		}
		g.create(roles, namespace, &rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}, ObjectMeta: meta, Rules: here})
		g.create(bindings, namespace, &rbacv1.RoleBinding{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind + "Binding"},
			ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: account}})
		if namespace != g.ns {
			g.t.Cleanup(func() {
				ctx := afterwards(g.t)
				_ = g.dynamic.Resource(bindings).Namespace(namespace).Delete(ctx, account, metav1.DeleteOptions{})
				_ = g.dynamic.Resource(roles).Namespace(namespace).Delete(ctx, account, metav1.DeleteOptions{})
			})
		}
	}
	return g.impersonating("system:serviceaccount:" + g.ns + ":" + account)
}

// create makes an object of that resource.
func (g *ground) create(in schema.GroupVersionResource, namespace string, typed any) {
	g.t.Helper()
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err == nil {
		_, err = g.dynamic.Resource(in).Namespace(namespace).Create(g.t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *ground) impersonating(user string) string {
	g.t.Helper()
	config, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	if err == nil {
		err = clientcmd.ResolveLocalPaths(config)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	for _, auth := range config.AuthInfos {
		auth.Impersonate = user
	}
	file := filepath.Join(g.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		g.t.Fatal(err)
	}
	return file
}

// whole does with an action all that the executor may: looks before, the effect, looks after, and the undo.
func (d *deed) whole() error {
	ctx := d.g.t.Context()
	var err error
	then := func(do func() error) {
		if err == nil {
			err = do()
		}
	}
	action := d.make()
	if sizer, can := action.(act.Sizer); can {
		then(func() error { _, err := sizer.Size(ctx, d.call); return err })
	}
	if owner, can := action.(act.Owner); can {
		then(func() error { _, err := owner.Owner(ctx, d.call); return err })
	}
	if checker, can := action.(act.Checker); can {
		then(func() error { return checker.Check(ctx, d.call) })
	}
	then(d.checkpoint)
	if printer, can := action.(act.Fingerprinter); can {
		then(func() error { _, err := printer.Fingerprint(ctx, d.call); return err })
	}
	if asker, can := action.(act.DryRunner); can {
		then(func() error { _, err := asker.DryRun(ctx, d.call); return err })
	}
	then(func() error { _, err := d.make().Do(ctx, d.call); return err })
	if resolver, can := action.(act.Resolver); can {
		then(func() error { _, err := resolver.Happened(ctx, d.call); return err })
	}
	if undoer, can := action.(act.Undoer); can {
		then(func() error { _, err := undoer.Undo(ctx, d.call); return err })
	}
	return err
}

// rightful is how one action is tried.
type rightful struct {
	action, params string
	target         func(g *ground) jenner.Target
	// every says that with any one right less it is refused.
	every bool
}

var rightfuls = []rightful{
	{"restart", "{}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, true},
	{"restart", "{wait: 60s}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, false},
	{"scale", "{by: 1, ceiling: 2}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, true},
	{"set_image", "{images: {app: 'jenner-test/app:v2'}}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, true},
	{"raise_limit", "{step: 16Mi, ceiling: 1Gi}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, true},
	{"delete_pod", "{and_ready: true}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, true},
	{"delete_pod", "{and_ready: true, ignore_budgets: true, wait: 60s}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, true},
	{"rollback", "{healthy_for: 1s}", func(g *ground) jenner.Target {
		target := g.released("crash")
		g.until("the old pod serves", func() bool {
			return g.made("rollback", kindDeployment, "{healthy_for: 1s}")().(act.Checker).Check(g.t.Context(), act.Call{Target: target}) == nil
		})
		return target
	}, true},
	{"mark_verified", "{for: 1s}", func(g *ground) jenner.Target {
		target := g.serving("shop", 1)
		g.until("it has served for a second", func() bool {
			return g.made("mark_verified", kindDeployment, "{for: 1s}")().(act.Checker).Check(g.t.Context(), act.Call{Target: target}) == nil
		})
		return target
	}, true},
	{"patch", "{patch: {data: {color: blue}}}", func(g *ground) jenner.Target { g.as("people", settings); return g.target(kindConfigMap, "settings") }, true},
	{"revert_drift", "{file: objects.yaml, take_from: [people]}", func(g *ground) jenner.Target {
		g.as("people", strings.Replace(settings, "red", "blue", 1))
		target, _ := g.inFile(kindConfigMap, "settings", settings)
		return target
	}, true},
	{"set_bounds", "{max: 3}", func(g *ground) jenner.Target {
		g.as("people", autoscaler("shop", 1, 9))
		return g.target(kindHPA, "shop")
	}, true},
	{"retry_job", "{}", func(g *ground) jenner.Target { return g.failed("import") }, true},
	{"delete_job", "{}", func(g *ground) jenner.Target { return g.failed("import") }, true},
	{"run_hook", "{template: " + hookTemplate("job", "--takes", "100ms") + "}", func(g *ground) jenner.Target { return g.target(kindDeployment, "shop") }, false},
	{"wait_for_rollout", "{}", func(g *ground) jenner.Target { return g.serving("shop", 1) }, false},
	{"rollback_release", "{to_revision: 1, wait: 60s, resources: [deployments.apps]}", func(g *ground) jenner.Target { return g.installed("", "v1", "v2") }, false},
	{"rollback_release", "{to_revision: 1, resources: [deployments.apps, jobs.batch]}", func(g *ground) jenner.Target {
		return g.installed("job --takes 100ms", "v1", "v2")
	}, false},
	{"mark_verified", "{for: 1s}", func(g *ground) jenner.Target {
		target := g.installed("", "v1")
		g.until("it has served for a second", func() bool {
			return g.made("mark_verified", kindHelm, "{for: 1s}")().(act.Checker).Check(g.t.Context(), act.Call{Target: target}) == nil
		})
		return target
	}, false},
	{"pause_sync", "{argo_namespace: SPARE}", func(g *ground) jenner.Target {
		g.served(kustomizations, "Kustomization")
		return g.synced(kustomizations, "Kustomization", "{path: ./shop}", fluxMark)
	}, false},
	{"resume_sync", "{argo_namespace: SPARE}", func(g *ground) jenner.Target {
		g.served(kustomizations, "Kustomization")
		target := g.synced(kustomizations, "Kustomization", "{path: ./shop}", fluxMark)
		g.deed("pause_sync", target, "{}").must()
		return target
	}, false},
	{"cordon", "{}", func(g *ground) jenner.Target { return g.node() }, true},
	{"uncordon", "{}", func(g *ground) jenner.Target {
		node := g.node()
		g.meddle(node, `{"spec":{"unschedulable":true}}`)
		return node
	}, true},
	{"drain", "{selector: app=SPARE}", func(g *ground) jenner.Target { node := g.node(); g.onSpare(g.ns, 1, true); return node }, false},
}

// alone tells whether it changes what belongs to the whole cluster: its kinds, or the spare node. For those the tests of all
// are serial, and let the others run beside each other.
func (one rightful) alone() bool {
	return slices.Contains([]string{"pause_sync", "resume_sync", "cordon", "uncordon", "drain"}, one.action)
}

// needed are the rights that an action says it needs.
func (d *deed) needed() []jenner.Right {
	d.g.t.Helper()
	rights, err := d.make().(jenner.NeedsRights).Rights(jenner.Service{}, d.call.Target)
	if err != nil {
		d.g.t.Fatal(err)
	}
	return rights
}

// with is the same deed by somebody who has these rights.
func (d *deed) with(rights []jenner.Right) *deed {
	d.g.t.Helper()
	limited := *d
	limited.call.Target = d.g.by(limited.call.Target, rights)
	return &limited
}

// by is the same target as somebody reaches it who has exactly these rights, once the API server knows of all of them.
func (g *ground) by(target jenner.Target, rights []jenner.Right) jenner.Target {
	g.t.Helper()
	target.Params = maps.Clone(target.Params)
	if target.Params == nil {
		target.Params = jenner.Params{}
	}
	target.Params["namespace"], target.Params["kubeconfig"] = jenner.Raw(g.ns), jenner.Raw(g.limited(rights))
	_, c, err := reach(target)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, right := range rights {
		g.until("the API server knows the right to "+right.String(), func() bool {
			answer, err := c.AuthorizationV1().SelfSubjectAccessReviews().Create(g.t.Context(), access(right, g.ns), metav1.CreateOptions{})
			return err == nil && answer.Status.Allowed
		})
	}
	return target
}

// TestEveryActionIsTriedWithItsRights, so that a new one is not forgotten.
func TestEveryActionIsTriedWithItsRights(t *testing.T) {
	for _, entry := range catalog.Merge(Provider).Actions() {
		if !slices.ContainsFunc(rightfuls, func(one rightful) bool { return "kubernetes."+one.action == entry.Name }) {
			t.Errorf("%s is not among the actions that are tried with exactly their rights", entry.Name)
		}
	}
}

func TestTheRightsAreEnough(t *testing.T) {
	for _, one := range rightfuls {
		t.Run(one.action+strings.ReplaceAll(one.params, " ", ""), func(t *testing.T) {
			if !one.alone() {
				t.Parallel()
			}
			g := newGround(t)
			deed := g.deed(one.action, one.target(g), strings.ReplaceAll(one.params, "SPARE", g.ns))
			if err := deed.with(deed.needed()).whole(); err != nil {
				t.Errorf("with %v: %v\n%s", deed.needed(), err, g.told())
			}
		})
	}
}

// TestEveryRightIsNeeded: with any one less, something of what an action does is forbidden.
func TestEveryRightIsNeeded(t *testing.T) {
	for _, one := range rightfuls {
		if !one.every {
			continue
		}
		t.Run(one.action+strings.ReplaceAll(one.params, " ", ""), func(t *testing.T) {
			if !one.alone() {
				t.Parallel()
			}
			g := newGround(t)
			target := one.target(g)
			rights := g.deed(one.action, target, one.params).needed()
			for i, without := range rights {
				less := slices.Delete(slices.Clone(rights), i, i+1)
				if len(less) == 0 {
					t.Fatalf("%s needs one right only", one.action)
				}
				if target.Kind == kindDeployment && one.action != "rollback" { // the last one may have ended its pod
					g.until("it serves", func() bool {
						return slices.ContainsFunc(g.alive(target), func(pod corev1.Pod) bool { return podReady(&pod) })
					})
				}
				err := g.deed(one.action, target, one.params).with(less).whole()
				if !apierrors.IsForbidden(err) {
					t.Errorf("without %s: %v", without, err)
				}
				if err != nil && jenner.NextAfter(err) != jenner.NeverMind {
					t.Errorf("without %s it is tried again: %v", without, err)
				}
			}
		})
	}
}

// access is a right as a question to the API server. The namespace is where it is not said.
func access(right jenner.Right, namespace string) *authorizationv1.SelfSubjectAccessReview {
	resource, sub, _ := strings.Cut(right.Resource, "/")
	switch {
	case right.Clusterwide:
		namespace = ""
	case right.Namespace != "":
		namespace = right.Namespace
	}
	return &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: right.Verb, Group: right.Group, Resource: resource, Subresource: sub, Name: right.Name}}}
}
