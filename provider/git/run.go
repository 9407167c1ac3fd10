package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner"
)

// localVariables bind a git process to a repository other than the one that is meant; a hook sets them, for example.
// They are those of `git rev-parse --local-env-vars`.
var localVariables = []string{"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
	"GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE",
	"GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR"}

// run runs git in a folder, which itself must be a repository, and gives what it prints.
func run(ctx context.Context, folder string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", folder, "--literal-pathspecs"}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(localVariables, name)
	})
	// A folder inside of another repository is not that repository. Nobody is there to be asked for a password.
	cmd.Env = append(cmd.Env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(folder), "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with the transport that it started
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case errors.Is(err, exec.ErrNotFound):
		return nil, jenner.Permanent(errors.New("the program git is not installed"), "apt-get install git")
	case ctx.Err() != nil:
		return nil, fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	}
	return nil, fmt.Errorf("git %s in %s: %s", args[0], folder, lastLines(said.String(), err))
}

// lastLines is the end of what git said, on one line.
func lastLines(said string, otherwise error) string {
	said = strings.Join(strings.Fields(strings.ToValidUTF8(said, "?")), " ")
	if said == "" {
		return otherwise.Error()
	}
	if over := len(said) - 400; over > 0 {
		said = "…" + strings.ToValidUTF8(said[over:], "")
	}
	return said
}

// fetchInto brings a mirror of a URL up to date, and makes it where it is not there.
func fetchInto(ctx context.Context, mirror, url, revision string) error {
	if err := os.MkdirAll(mirror, 0o700); err != nil {
		return fmt.Errorf("the mirror of %s cannot be made: %w", url, err)
	}
	unlock, err := lock(ctx, filepath.Join(mirror, "jenner.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := run(ctx, mirror, "init", "--quiet", "--bare"); err != nil { // doing it again changes nothing
		return err
	}
	if _, err := run(ctx, mirror, "fetch", "--quiet", "--prune", "--no-tags", "--end-of-options", url, "+refs/heads/*:refs/heads/*"); err != nil {
		return err
	}
	if revision != "" {
		return nil
	}
	said, err := run(ctx, mirror, "ls-remote", "--symref", "--end-of-options", url, "HEAD")
	if err != nil {
		return err
	}
	branch, is := strings.CutPrefix(strings.SplitN(string(said), "\t", 2)[0], "ref: ")
	if !is {
		return fmt.Errorf("%s does not say which branch is its HEAD; write revision", url)
	}
	_, err = run(ctx, mirror, "symbolic-ref", "HEAD", branch)
	return err
}

// lock waits until nobody else brings the mirror up to date. The kernel releases it when its process dies.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("%s cannot be locked: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("somebody else fetches into %s: %w", filepath.Dir(path), context.Cause(ctx))
		case <-tick.C:
		}
	}
}
