package config_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/await"
)

// watched counts the changes told about a path.
func watched(t *testing.T, path ...string) *atomic.Int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	var count atomic.Int64
	if err := config.Watch(ctx, path, func() { count.Add(1) }); err != nil {
		t.Fatal(err)
	}
	return &count
}

// reaches waits until the count is there.
func reaches(t *testing.T, count *atomic.Int64, want int64, after string) {
	t.Helper()
	await.OK(t, "after "+after, func() error {
		if told := count.Load(); told < want {
			return fmt.Errorf("%d changes were told, want %d", told, want)
		}
		return nil
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatchTellsEveryKindOfChange(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "a.yaml", service("a"))
	count := watched(t, dir)

	write(t, dir, "a.yaml", service("b"))
	reaches(t, count, 1, "writing")

	must(t, os.Rename(write(t, dir, "a.yaml~", service("c")), file))
	reaches(t, count, 2, "replacing, as editors do")

	write(t, dir, "a.yaml", service("d"))
	reaches(t, count, 3, "writing to the replaced file")

	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	reaches(t, count, 4, "making a folder")

	write(t, dir, "sub/b.yaml", service("e"))
	reaches(t, count, 5, "making a file in the new folder")

	must(t, os.Remove(file))
	reaches(t, count, 6, "removing")
}

func TestWatchOfOneFile(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "a.conf", service("a"))
	count := watched(t, file)
	must(t, os.Remove(file))
	write(t, dir, "a.conf", service("b"))
	reaches(t, count, 1, "making it anew")
}

// Whatever would be told of what happens beside the files is told before a later change of another folder.
func TestWatchPassesOverOtherFiles(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	write(t, dir, "a.yaml", service("a"))
	count, fence := watched(t, dir), watched(t, other)
	write(t, dir, "checkout.pid", "1")
	write(t, dir, ".a.yaml.swp", "")
	must(t, os.Chmod(filepath.Join(dir, "a.yaml"), 0o600))
	must(t, os.Remove(filepath.Join(dir, "checkout.pid")))
	for i := range int64(2) {
		write(t, other, "b.yaml", service("b"))
		reaches(t, fence, i+1, "writing elsewhere")
	}
	if got := count.Load(); got != 0 {
		t.Errorf("%d changes were told of files that are not read, or of their mode", got)
	}
	for range 20 {
		write(t, dir, "a.yaml", service("b"))
	}
	reaches(t, count, 1, "writing many times")
	must(t, os.Rename(filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")))
	reaches(t, count, 2, "renaming")
	if got := count.Load(); got > 10 {
		t.Errorf("%d changes were told; writes that follow each other are one", got)
	}
}

func TestWatchRefusesWhatIsNotThere(t *testing.T) {
	if err := config.Watch(t.Context(), []string{filepath.Join(t.TempDir(), "none")}, func() {}); err == nil {
		t.Error("got no error")
	}
}
