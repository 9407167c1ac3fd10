package main

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	appsv1 "k8s.io/api/apps/v1"
)

// stage is one FROM of a Dockerfile and its instructions, each a word and the rest of the line.
type stage struct {
	base string
	does [][2]string
}

func (s stage) of(word string) []string {
	var all []string
	for _, one := range s.does {
		if one[0] == word {
			all = append(all, one[1])
		}
	}
	return all
}

func dockerfile(t *testing.T) []stage {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var stages []stage
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "" || word == "#":
		case word == "FROM":
			stages = append(stages, stage{base: strings.Fields(rest)[0]})
		case len(stages) == 0:
			t.Fatalf("%q stands before the first FROM", line)
		default:
			last := &stages[len(stages)-1]
			last.does = append(last.does, [2]string{word, rest})
		}
	}
	if len(stages) != 2 {
		t.Fatalf("the Dockerfile has %d stages; one builds and one is what runs", len(stages))
	}
	return stages
}

// TestTheImageFitsThePod: what can be said of the Dockerfile without a container engine: it is built by a Go that is new enough,
// has nothing but what the pod of the chart asks for, and runs as the same user, who is not root.
func TestTheImageFitsThePod(t *testing.T) {
	stages := dockerfile(t)
	built, image := stages[0], stages[1]
	var deployment appsv1.Deployment
	decode(t, rendered(t, "")["Deployment jenner/jenner"], &deployment)
	pod := deployment.Spec.Template.Spec
	container := pod.Containers[0]
	user := fmt.Sprintf("%d:%d", *pod.SecurityContext.RunAsUser, *pod.SecurityContext.RunAsGroup)

	if image.base != "scratch" || len(image.of("RUN")) > 0 {
		t.Errorf("what runs is made from %s with %q; a static program needs nothing, and has nothing to run", image.base, image.of("RUN"))
	}
	if got := image.of("USER"); !slices.Equal(got, []string{user}) || strings.HasPrefix(user, "0:") {
		t.Errorf("the image runs as %q and the pod as %s", got, user)
	}
	if got, want := image.of("EXPOSE"), fmt.Sprint(container.Ports[0].ContainerPort); !slices.Equal(got, []string{want}) {
		t.Errorf("the image opens %q and the pod %s", got, want)
	}
	if got := image.of("ENTRYPOINT"); !slices.Equal(got, []string{`["/jenner"]`}) || len(container.Command) > 0 {
		t.Errorf("the image starts %q and the pod %q", got, container.Command)
	}
	// Where the pod mounts nothing, as with docker run, the folders must be there all the same, and be the user's.
	var there []string
	for _, line := range image.of("COPY") {
		words := strings.Fields(line)
		to := words[len(words)-1]
		there = append(there, path.Clean(to))
		if !strings.Contains(line, "--from=build ") {
			t.Errorf("COPY %s is not from what was built", line)
		}
		if mine, folder := strings.Contains(line, "--chown="+user+" "), strings.Contains(line, " /empty "); mine != folder {
			t.Errorf("COPY %s: empty folders are the user's, and nothing else is", line)
		}
	}
	for _, mount := range container.VolumeMounts {
		if !slices.Contains(there, mount.MountPath) {
			t.Errorf("the pod mounts %s, and the image has only %q", mount.MountPath, there)
		}
	}
	built.makesAStaticJenner(t)
}

func (s stage) makesAStaticJenner(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	module, err := modfile.Parse("go.mod", raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	if wants := strings.Join(strings.Split(module.Go.Version, ".")[:2], "."); s.base != "golang:"+wants {
		t.Errorf("it is built with %s, and go.mod wants Go %s", s.base, wants)
	}
	build := regexp.MustCompile(`CGO_ENABLED=0 go build .*-trimpath .*-X main\.version=.* -o /jenner \./cmd/jenner`)
	if runs := s.of("RUN"); !slices.ContainsFunc(runs, build.MatchString) {
		t.Errorf("none of %q builds a static /jenner that knows its version", runs)
	}
}
