package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("crash_loop", "Let the containers of a workload crash at each start, as a bad release does", func() chaos.Fault {
		return &FaultCrashLoop{}
	}, workloadKinds...)
}

// noProgram is a command that no image has. The container's start fails again and again, which Kubernetes answers as any
// other crash, with CrashLoopBackOff.
const noProgram = "/jenner-fault/this-program-is-not-there"

// FaultCrashLoop changes how a container is started so that it crashes. Where neither command nor env is written, the command
// becomes a program that is not there. The pods that serve go as the workload's own strategy for updates has it, or at once
// where AtOnce is set. It needs the right to patch the workload.
type FaultCrashLoop struct {
	edited
	Release
	// Command is what is started instead of what the image or the workload says.
	Command []string `json:"command,omitempty"`
	// Env are variables of the environment that let the program crash: CRASH: "1".
	Env map[string]string `json:"env,omitempty"`
}

// Validate checks that it says one way to crash.
func (f *FaultCrashLoop) Validate() error {
	if len(f.Command) > 0 && len(f.Env) > 0 {
		return errors.New("write either command or env, or neither")
	}
	for name := range f.Env {
		if said := validation.IsEnvVarName(name); len(said) > 0 {
			return fmt.Errorf("env: %q is no name of a variable: %s", name, said[0])
		}
	}
	return f.Release.Validate()
}

// BitesWithin is how long it may take until a new pod has crashed.
func (*FaultCrashLoop) BitesWithin() time.Duration { return 2 * time.Minute }

// Checkpoint keeps what is changed. It refuses a container that is not there and a workload with more pods than the cap.
func (f *FaultCrashLoop) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return altering(ctx, call, f.MaxPods, func(t *Target, w workload) ([]delta, error) {
		container, err := f.container(w)
		if err != nil {
			return nil, err
		}
		changes, err := f.settings(pathOf(container))
		if err != nil {
			return nil, err
		}
		return f.with(t, changes...)
	})
}

func (f *FaultCrashLoop) settings(container []string) (changes []delta, err error) {
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		variable, err := setting(corev1.EnvVar{Name: name, Value: f.Env[name]}, append(slices.Clone(container), "env", "name="+name)...)
		if err != nil {
			return nil, err
		}
		changes = append(changes, variable)
	}
	if len(f.Env) > 0 {
		return changes, nil
	}
	command := f.Command
	if len(command) == 0 {
		command = []string{noProgram}
	}
	program, err := setting(command, append(slices.Clone(container), "command")...)
	return []delta{program}, err
}

// Bite sees whether a container of the new kind has ended, or could not be started.
func (f *FaultCrashLoop) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return bitten(ctx, call, func(ctx context.Context, t *Target, c *cluster, _ altered) (string, error) {
		return c.statusOf(ctx, t, func(status corev1.ContainerStatus) string { return crashed(status, call) })
	})
}

// crashed says that a container crashed since the fault was injected.
func crashed(status corev1.ContainerStatus, call chaos.Call) string {
	for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
		ended := state.Terminated
		if ended == nil || ended.ExitCode == 0 || ended.FinishedAt.Time.Before(call.Record.InjectedAt.Truncate(1e9)) {
			continue
		}
		return fmt.Sprintf("container %s ended with exit code %d (%s), %d restarts", status.Name, ended.ExitCode, ended.Reason, status.RestartCount)
	}
	return ""
}

// Rights are to read and change the workload, to read its pods, and to find what a fault has left on it and on copies of it.
func (*FaultCrashLoop) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return alteringRights(target)
}
