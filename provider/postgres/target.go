package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("postgres", "A PostgreSQL cluster", func() any { return newTarget() })
}

// Target is a cluster and how to get into it. Passwords never stand in a document: their place is named. Relative paths
// start from the folder of the file that declares the target. A Target is not changed after it was decoded and may be
// read concurrently.
type Target struct {
	// Host is a name, an address, or the folder of the server's socket, which begins with a slash.
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
	// User is whom Jenner connects as. A superuser still gets in when all other connections are taken, which is when it is
	// needed most; to watch, a member of pg_monitor is enough.
	User     string `json:"user,omitempty"`
	Database string `json:"database,omitempty"`
	// PasswordEnv is the name of the variable of Jenner's environment that holds the password.
	PasswordEnv string `json:"password_env,omitempty"`
	// PasswordFile is a file that holds the password in its first line.
	PasswordFile string `json:"password_file,omitempty"`
	// SSLMode is disable, prefer, require, verify-ca or verify-full, as libpq has them.
	SSLMode string `json:"sslmode,omitempty"`
	// Data is the data directory, where the cluster runs on this machine: start, stop, restart and fence need it.
	Data string `json:"data,omitempty"`
	// Bin is the folder of pg_ctl; where not said it is looked for in PATH.
	Bin string `json:"bin,omitempty"`
	// RunAs is the user that the server runs as. It must be said where Jenner runs as root, for PostgreSQL refuses root.
	RunAs string `json:"run_as,omitempty"`
	// Log is the file that a server which Jenner starts writes to until its own logging begins; DATA/pg_ctl.log where not
	// said.
	Log string `json:"log,omitempty"`
	// Options are handed to the server at its start, such as -c config_file=/etc/postgresql/15/main/postgresql.conf.
	Options string `json:"options,omitempty"`

	ref jenner.TargetRef
}

func newTarget() *Target {
	return &Target{Host: "127.0.0.1", Port: 5432, User: "postgres", Database: "postgres", SSLMode: "prefer"}
}

var sslModes = []string{"disable", "prefer", "require", "verify-ca", "verify-full"}

// Validate checks what can be checked without touching anything.
func (t *Target) Validate() error {
	switch {
	case t.Host == "" || t.User == "" || t.Database == "":
		return errors.New("host, user and database must not be empty")
	case t.Port < 1 || t.Port > 65535:
		return fmt.Errorf("port %d is none; write 1 to 65535", t.Port)
	case t.PasswordEnv != "" && t.PasswordFile != "":
		return errors.New("password_env and password_file are both there; write one")
	case !slices.Contains(sslModes, t.SSLMode):
		return fmt.Errorf("unknown sslmode %q%s", t.SSLMode, strict.Hint(t.SSLMode, sslModes))
	case t.Data == "" && (t.Bin != "" || t.RunAs != "" || t.Log != "" || t.Options != ""):
		return errors.New("bin, run_as, log and options are for a cluster of this machine; write its data directory as data")
	}
	return nil
}

// decode reads a target's parameters and resolves its paths.
func decode(written jenner.Target) (*Target, error) {
	if written.Kind != "postgres" {
		return nil, jenner.Permanent(fmt.Errorf("target %q is not of kind postgres", written.Ref()), "")
	}
	t := newTarget()
	if err := strict.Decode(written.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", written.Ref(), err), "")
	}
	t.ref = written.Ref()
	if t.Data != "" && t.Log == "" {
		t.Log = filepath.Join(t.Data, "pg_ctl.log")
	}
	for _, path := range []*string{&t.PasswordFile, &t.Data, &t.Bin, &t.Log} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(written.Dir, *path)
		}
	}
	return t, nil
}

// password fetches the password from where the target says that it is.
func (t *Target) password() (string, error) {
	switch {
	case t.PasswordEnv != "":
		value, set := os.LookupEnv(t.PasswordEnv)
		if !set {
			return "", jenner.Permanent(fmt.Errorf("%s: the variable %s, which is to hold the password, is not set", t.ref, t.PasswordEnv), "")
		}
		return value, nil
	case t.PasswordFile != "":
		raw, err := os.ReadFile(t.PasswordFile)
		if err != nil {
			return "", jenner.Permanent(fmt.Errorf("%s: the password cannot be read: %w", t.ref, err), "")
		}
		first, _, _ := strings.Cut(string(raw), "\n")
		return strings.TrimSuffix(first, "\r"), nil
	}
	return "", nil
}

// others are the other clusters of the service.
func others(service jenner.Service, than jenner.TargetRef) []jenner.Target {
	var found []jenner.Target
	for _, target := range service.Targets {
		if target.Kind == "postgres" && target.Ref() != than {
			found = append(found, target)
		}
	}
	return found
}

// otherPrimary finds another cluster of the service that takes writes; empty where there is none. Where one may be there
// that does not answer, nobody can tell, and that is an error.
func otherPrimary(ctx context.Context, service jenner.Service, than jenner.TargetRef) (name string, unknown error) {
	for _, other := range others(service, than) {
		t, err := decode(other)
		if err != nil {
			return "", err
		}
		recovers, err := t.recovers(ctx)
		switch {
		case err == nil && !recovers:
			return other.Name, nil
		case err != nil && !nobodyThere(err):
			unknown = errors.Join(unknown, jenner.Retryable(fmt.Errorf("nobody can tell whether %s takes the writes: %w", t.ref, err), ""))
		}
	}
	return "", unknown
}
