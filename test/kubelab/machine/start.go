package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Argument is the argument by which the program knows that it is to be a machine: it then calls Init and nothing else.
const Argument = "be-a-machine"

// Start starts a machine and returns when its services are being started. plug is called when the machine has a network
// namespace, and gives it its interface, which is called Interface(pid).
func Start(spec Spec, plug func(pid int) error) (Process, error) {
	for _, dir := range []string{spec.Root, spec.Var, spec.Log} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Process{}, err
		}
	}
	said, err := os.OpenFile(filepath.Join(spec.Log, "machine.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Process{}, err
	}
	defer said.Close()
	answer, answers, err := os.Pipe()
	if err != nil {
		return Process{}, err
	}
	defer answer.Close()

	cmd := exec.Command("/proc/self/exe", Argument)
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = said, said, "/", []string{"PATH=" + searchPath}
	cmd.ExtraFiles = []*os.File{answers}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC}
	orders, err := cmd.StdinPipe()
	if err != nil {
		answers.Close()
		return Process{}, err
	}
	err = cmd.Start()
	answers.Close()
	if err != nil {
		return Process{}, fmt.Errorf("cannot start machine %s: %w; namespaces need root", spec.Name, err)
	}
	process, err := Find(cmd.Process.Pid)
	if err == nil {
		err = plug(process.PID)
	}
	if err == nil {
		err = errors.Join(json.NewEncoder(orders).Encode(spec), orders.Close())
	}
	if err == nil {
		err = told(spec.Name, answer)
	}
	if err != nil {
		err = errors.Join(err, cmd.Process.Kill())
		_ = cmd.Wait() // says that it was killed
		return Process{}, err
	}
	go cmd.Wait() // so that nothing of it is left when it ends before this program does
	return process, nil
}

// ready is what the machine says when all is well.
const ready = "ready\n"

// told waits for what the machine says of its start.
func told(name string, answer io.Reader) error {
	text, err := io.ReadAll(answer)
	if err != nil {
		return err
	}
	if string(text) != ready {
		return fmt.Errorf("machine %s did not start: %s", name, strings.TrimSpace(string(text)))
	}
	return nil
}
