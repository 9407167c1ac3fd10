package image

import (
	"fmt"
	"io"
	"os"
)

// Repository is in front of the name of each image of a lab. In a pod the first part, docker.io, may be left out.
const Repository = "docker.io/jenner-test/"

// App writes the archive of the test workload: one program under four tags, which differ in what they do where the
// pod's environment does not say otherwise.
//
//	v1     works
//	v2     works, and calls itself v2
//	bad    answers a third of requests with 500, and the others late
//	crash  ends at its start with exit code 3
func App(w io.Writer, program string) error {
	body, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	tagged := func(tag string, env ...string) Image {
		return Image{Tags: []string{Repository + "app:" + tag}, Entrypoint: []string{"/app"}, User: User, Env: append([]string{"PATH=/", "VERSION=" + tag}, env...)}
	}
	return Write(w, []File{{Path: "/app", Mode: 0o755, Body: body}},
		tagged("v1"), tagged("v2"), tagged("bad", "FAIL_RATE=0.33", "DELAY=400ms"), tagged("crash", "CRASH_AFTER=0s"))
}

// Pause writes the archive of the program that holds a pod's namespaces, under the name.
func Pause(w io.Writer, program, name string) error {
	body, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	return Write(w, []File{{Path: "/pause", Mode: 0o755, Body: body}}, Image{Tags: []string{name}, Entrypoint: []string{"/pause"}, User: User})
}

// Jenner writes the archive of Jenner itself under whole names, such as docker.io/jenner-test/jenner:dev. The program must be
// static. The image has nothing else in it: neither the CA certificates nor the folder for data that the Dockerfile's has.
func Jenner(w io.Writer, program string, tags ...string) error {
	body, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("%w; build it with CGO_ENABLED=0", err)
	}
	return Write(w, []File{{Path: "/jenner", Mode: 0o755, Body: body}},
		Image{Tags: tags, Entrypoint: []string{"/jenner"}, User: User, Env: []string{"PATH=/"}})
}
