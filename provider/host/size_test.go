package host

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "0B": 0, "100B": 100, "1KB": 1024, "64MB": 64 << 20, "1.5GB": 3 << 29, "2TB": 2 << 40, "64MiB": 64 << 20, " 8 MB ": 8 << 20,
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
		again, err := got.MarshalText()
		if err != nil || got.UnmarshalText(again) != nil || got != want {
			t.Errorf("%q is written as %q and comes back as %d", text, again, got)
		}
	}
	for _, text := range []string{"", "64", "MB", "-1MB", "1 mb", "64M", "NaNMB", "InfGB", "1e30TB", "1MBB", "0x1MB"} {
		var got Size
		err := got.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "is not a size") {
			t.Errorf("%q is taken for %s, %v", text, got, err)
		}
	}
	for size, want := range map[Size]string{0: "0B", 100: "100B", 1536: "1.5KB", 64 << 20: "64MB", 5<<30 + 1: "5GB"} {
		if got := size.String(); got != want {
			t.Errorf("%d is shown as %q, want %q", size, got, want)
		}
	}
}
