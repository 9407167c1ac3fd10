package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/jenner-heal/jenner"
)

// The vDSO of a process is written by a process of its own: this program again, started with writerWord. While a process
// traces another one, the kernel reports that one's stops to whatever thread of it waits for its children; a Jenner that
// had started the target would take the first stop for the target's end.
func init() {
	if len(os.Args) == 2 && os.Args[1] == writerWord {
		os.Exit(beWriter(os.Stdin, os.Stderr))
	}
}

const (
	writerWord = "write-vdso"
	exitGone   = 3 // the process to be written to is gone
)

// order is what the writer is told.
type order struct {
	identity
	Patch patch `json:"patch"`
	Undo  bool  `json:"undo"`
}

// beWriter carries one order out and gives the exit code.
func beWriter(in io.Reader, out io.Writer) int {
	var told order
	err := json.NewDecoder(in).Decode(&told)
	if err == nil {
		err = freeze(context.Background(), told.identity, func(still *frozen) error { return told.Patch.write(still, told.Undo) })
	}
	switch {
	case errors.Is(err, errGone):
		return exitGone
	case err != nil:
		fmt.Fprintln(out, err)
		return 1
	}
	return 0
}

// writeIn writes the patch into a process, or takes it back; errGone where the process does not live.
func (p patch) writeIn(ctx context.Context, id identity, undo bool) error {
	var said bytes.Buffer
	writer := exec.CommandContext(ctx, "/proc/self/exe", writerWord) // also where its file was replaced meanwhile
	writer.Stdin, writer.Stderr = bytes.NewReader(jenner.Raw(order{id, p, undo})), &said
	err := writer.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ended.ExitCode() == exitGone:
		return errGone
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && said.Len() > 0:
		return errors.New(strings.TrimSpace(said.String()))
	}
	return err
}
