package process

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/jenner-heal/jenner"
)

// traceable refuses a process that cannot be traced, or that tracing could harm, and says what to do. It touches nothing.
func traceable(pid int, sandboxed bool) error {
	if traceUnsupported != nil {
		return jenner.Permanent(traceUnsupported, "")
	}
	// The kernel asks for the same rights as for tracing.
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		return jenner.Permanent(fmt.Errorf("pid %d may not be traced: needs CAP_SYS_PTRACE", pid), "run as root")
	}
	if err != nil {
		return jenner.Permanent(fmt.Errorf("the memory of pid %d cannot be opened: %w", pid, err), "")
	}
	memory.Close()
	tracer, err := statusNumber(pid, "TracerPid")
	if err != nil {
		return err
	}
	if tracer != 0 {
		return jenner.Permanent(fmt.Errorf("pid %d is traced by pid %d already, and only one can", pid, tracer),
			"end the debugger or the other fault first")
	}
	if err := sixtyFourBit(pid); err != nil {
		return jenner.Permanent(err, "")
	}
	seccomp, err := statusNumber(pid, "Seccomp")
	if err != nil {
		return err
	}
	if seccomp == 1 || seccomp != 0 && !sandboxed {
		return jenner.Permanent(fmt.Errorf("pid %d runs behind a seccomp filter, which may end it for calls that it does not make by itself", pid),
			"where its filter refuses calls and does not kill for them, write sandboxed: true")
	}
	return nil
}

// statusNumber reads a number from /proc/PID/status.
func statusNumber(pid int, name string) (int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("pid %d cannot be looked at: %w", pid, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("/proc/%d/status does not tell %s", pid, name)
}

// sixtyFourBit refuses programs of the 32-bit ABIs: their calls have other numbers, and their vDSO is another one.
func sixtyFourBit(pid int) error {
	program, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return fmt.Errorf("the program of pid %d cannot be read: %w", pid, err)
	}
	defer program.Close()
	if program.Class != elf.ELFCLASS64 || program.Machine != elf.EM_X86_64 {
		return fmt.Errorf("pid %d is a program of %s, %s; only 64-bit programs for x86-64 can be broken so", pid, program.Class, program.Machine)
	}
	return nil
}
