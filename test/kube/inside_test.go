//go:build kube

package kube

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// repository is this one's root, seen from here.
	repository = "../.."
	// imageIsThere is set for a cluster that has the image that the chart and the manifests name, or can pull it.
	imageIsThere = "JENNER_IMAGE_IS_THERE"
	// home and shop are the namespaces of the guide.
	home, shop = "jenner", "shop"
)

// TestMain is the helm of the guides, too, where this program is called so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "helm" {
		os.Exit(helm(os.Args[1:]))
	}
	code := m.Run()
	os.RemoveAll(bin.dir)
	os.Exit(code)
}

// bin is a folder with the programs that the guide's commands call, made once for all tests.
var bin struct {
	once sync.Once
	dir  string
	err  error
}

// programs is the folder with jenner, built static as in the image, and helm.
func programs(t *testing.T) string {
	t.Helper()
	bin.once.Do(func() {
		if bin.dir, bin.err = os.MkdirTemp("", "jenner-inside-"); bin.err == nil {
			bin.err = build(bin.dir)
		}
	})
	if bin.err != nil {
		t.Fatal(bin.err)
	}
	return bin.dir
}

func build(dir string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=inside", "-o", filepath.Join(dir, "jenner"), "./cmd/jenner")
	cmd.Dir, cmd.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("a static jenner cannot be built: %w: %s", err, said)
	}
	made, err := elf.Open(filepath.Join(dir, "jenner"))
	if err != nil {
		return err
	}
	defer made.Close()
	for _, part := range made.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New("jenner is not static: it wants a loader, which an image with nothing else in it does not have")
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return os.Symlink(self, filepath.Join(dir, "helm"))
}

// guide is a folder in which the commands of docs/jenner-in-kubernetes.md are run as they are written there, by somebody
// who administers the cluster and has jenner, helm and kubectl.
type guide struct {
	*place // that of the app
	t      *testing.T
	dir    string
	ends   []func(context.Context) error // what else is deleted when it ends
}

func newGuide(t *testing.T) *guide {
	t.Helper()
	g := &guide{place: connect(t), t: t, dir: t.TempDir()}
	g.namespace = shop
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatal("there is no kubectl in PATH: apt-get install kubernetes-client")
	}
	g.haveImage()
	for _, name := range []string{home, shop} {
		if _, err := g.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Fatalf("the namespace %s is there already (%v): this test makes it and deletes it, and touches nobody else's", name, err)
		}
	}
	t.Cleanup(g.leave)
	if _, err := g.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shop}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	deploy, err := filepath.Abs(filepath.Join(repository, "deploy"))
	if err == nil {
		err = errors.Join(os.Symlink(deploy, filepath.Join(g.dir, "deploy")), os.Mkdir(filepath.Join(g.dir, "documents"), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var imageLine = regexp.MustCompile(`(?m)^ +image: (\S+)$`)

// haveImage puts the image into the nodes of the lab, under the name by which everybody would pull it.
func (g *guide) haveImage() {
	g.t.Helper()
	named := imageLine.FindStringSubmatch(g.run("jenner manifests"))
	if named == nil {
		g.t.Fatal("the manifests name no image")
	}
	switch {
	case os.Getenv(imageIsThere) != "":
	case os.Getenv("KUBELAB") == "":
		g.t.Fatalf("KUBELAB is not set, so that no image can be put into this cluster: run `make e2e-kube` without KUBECONFIG, which starts a cluster, "+
			"or let this one find %s, and say so by %s=yes", named[1], imageIsThere)
	default:
		kubelab(g.t, "image", "jenner", "--binary", filepath.Join(programs(g.t), "jenner"), "--tag", named[1])
	}
}

// leave deletes what the guide has made; the definitions of the custom resources stay, for others may use them.
func (g *guide) leave() {
	ctx := context.Background()
	if g.t.Failed() {
		g.t.Logf("what there is:\n%s", g.look())
	}
	for _, name := range []string{"jenner-documents", "jenner-documents-" + home} {
		for _, err := range []error{g.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{}),
			g.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{})} {
			if err != nil && !apierrors.IsNotFound(err) {
				g.t.Error(err)
			}
		}
	}
	for _, name := range []string{home, shop} {
		if err := g.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			g.t.Error(err)
		}
	}
	for _, end := range g.ends {
		if err := end(ctx); err != nil {
			g.t.Error(err)
		}
	}
	for _, name := range []string{home, shop} {
		g.gone(g.t, name)
	}
}

// look is what somebody would look at whose installation does not work.
func (g *guide) look() string {
	cmd := g.bash("set +e; kubectl get jenner,pods -n " + home + " -o wide; kubectl get pods,events.events.k8s.io -n " + shop +
		"; for pod in $(kubectl get pods -n " + home + " -o name); do kubectl get --raw /api/v1/namespaces/" + home + "/pods/${pod#pod/}:9797/proxy/readyz; done" +
		"; kubectl logs -n " + home + " -l app.kubernetes.io/name=jenner --tail=60 --prefix; kubectl describe pods -n " + home + " | tail -n 30")
	said, _ := cmd.CombinedOutput()
	return string(said)
}

func (g *guide) bash(script string) *exec.Cmd {
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = g.dir, append(os.Environ(), "PATH="+programs(g.t)+":"+os.Getenv("PATH"))
	return cmd
}

// run runs commands as they are written and gives what they print.
func (g *guide) run(script string) string {
	g.t.Helper()
	said, err := g.bash(script).CombinedOutput()
	if err != nil {
		g.t.Fatalf("%s\nends with %v:\n%s", script, err, said)
	}
	return string(said)
}

// block is one block of code in the guide.
type block struct{ language, text string }

// blocks are those of the guide's section with a heading, in order.
func (g *guide) blocks(heading string) []block {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "jenner-in-kubernetes.md"))
	if err != nil {
		g.t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		g.t.Fatalf("the guide has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var all []block
	for {
		_, rest, more := strings.Cut(section, "\n```")
		if !more {
			return all
		}
		code, after, _ := strings.Cut(rest, "\n```\n")
		language, code, _ := strings.Cut(code, "\n")
		all, section = append(all, block{language, code}), after
	}
}

// events are those of Jenner's about a Deployment of the shop.
func (g *guide) events(ctx context.Context, deployment string) ([]eventsv1.Event, error) {
	found, err := g.AppsV1().Deployments(shop).Get(ctx, deployment, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	list, err := g.EventsV1().Events(shop).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var ours []eventsv1.Event
	for _, event := range list.Items {
		if event.Regarding.UID == found.UID && strings.HasPrefix(event.Reason, "Jenner") {
			ours = append(ours, event)
		}
	}
	return ours, nil
}

// says waits for an event about a Deployment that tells a decision.
func (g *guide) says(deployment, reason string, words ...string) {
	g.t.Helper()
	eventually(g.t, reason+" is said of "+deployment, func(ctx context.Context) error {
		all, err := g.events(ctx, deployment)
		var said []string
		for _, event := range all {
			if event.Reason == reason && containsAll(event.Note, words) {
				return nil
			}
			said = append(said, event.Reason+": "+event.Note)
		}
		return errors.Join(fmt.Errorf("what is said is %q", said), err)
	})
}

func containsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// incident waits for a row of `kubectl get incidents` by its printer columns.
func (g *guide) incident(want map[string]string) (row map[string]string) {
	g.t.Helper()
	eventually(g.t, fmt.Sprintf("kubectl get incidents shows %v", want), func(context.Context) error {
		said, err := g.bash("kubectl get incidents -n " + home).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		head := strings.Fields(lines[0])
		for _, line := range lines[1:] {
			row = map[string]string{}
			for i, cell := range strings.Fields(line) {
				if i < len(head) {
					row[head[i]] = cell
				}
			}
			if among(row, want) {
				return nil
			}
		}
		return errors.Join(fmt.Errorf("it prints\n%s", said), err)
	})
	return row
}

func among(row, want map[string]string) bool {
	for column, value := range want {
		if row[column] != value {
			return false
		}
	}
	return true
}

// healers are Jenner's pods, as many as there are to be, all ready.
func (g *guide) healers(want int) []corev1.Pod {
	g.t.Helper()
	var ready []corev1.Pod
	eventually(g.t, fmt.Sprintf("%d pods of Jenner are ready, and no other is there", want), func(ctx context.Context) error {
		list, err := g.CoreV1().Pods(home).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=jenner"})
		if err != nil {
			return err
		}
		ready = nil
		for _, pod := range list.Items {
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil {
					ready = append(ready, pod)
				}
			}
		}
		if len(ready) != want || len(list.Items) != want {
			return fmt.Errorf("%d of %d are", len(ready), len(list.Items))
		}
		return nil
	})
	return ready
}
