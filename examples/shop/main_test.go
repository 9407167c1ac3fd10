package shop

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel() // a wrong command line that is taken for a right one ends at once
	for _, tc := range []struct {
		name, args     string
		code           int
		stdout, stderr string
	}{
		{"help teaches", "--help", 0, "Start a shop, and order something", ""},
		{"help of a role", "payments --help", 0, "--pool CONNECTIONS       CONNECTIONS to the ledger (default 8)", ""},
		{"nothing", "", 2, "", "Usage: shop ROLE [flags]"},
		{"unknown role", "chekout", 2, "", `unknown role "chekout"; the roles are gateway, checkout, partner,`},
		{"unknown flag", "ledger --bok x", 2, "", "-bok; `shop ledger --help` lists the flags"},
		{"flag of another role", "ledger --pool 3", 2, "", "not defined"},
		{"more words", "ledger now", 2, "", `unexpected argument "now"`},
		{"number out of range", "payments --pool 0", 2, "", "must be from 1 to 1000"},
		{"not a number", "load --rate NaN", 2, "", "must be from 0.01 to 1000"},
		{"open to the world", "gateway --host 0.0.0.0", 2, "", "not a loopback address"},
		{"not a URL", "gateway --checkout 127.0.0.1:1", 2, "", "not a base URL such as"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(ended, strings.Fields(tc.args), &stdout, &stderr); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if !strings.Contains(stdout.String(), tc.stdout) || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("stdout %q\nstderr %q\nwant %q and %q in them", &stdout, &stderr, tc.stdout, tc.stderr)
			}
			if (tc.code == 0) == (stderr.Len() > 0) {
				t.Errorf("exit code %d with stderr %q", tc.code, &stderr)
			}
		})
	}
}
