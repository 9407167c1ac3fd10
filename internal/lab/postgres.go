package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PostgresOptions say what a cluster is like. The zero value is a primary on a free port with PostgreSQL's own settings.
type PostgresOptions struct {
	Name     string            // cluster_name, by which a primary knows its standby; `lab` where empty
	Port     int               // a free one where 0
	Settings map[string]string // of postgresql.conf, each value as it stands there but for the quotes
	// Careless switches off what makes a commit durable. It is for tests that lose nothing by a crash.
	Careless bool
	// StandbyOf makes it a copy of that cluster that follows it by streaming replication, with a slot of its own name.
	StandbyOf *Postgres
}

// Postgres is a cluster in a folder of its own, which anybody on this machine may connect to as user postgres, without a
// password, through the loopback address. Who is root runs it as the user postgres or nobody, as PostgreSQL asks for.
type Postgres struct {
	Name  string
	Port  int
	Dir   string // holds all of it
	Data  string // the data directory
	Bin   string // the folder of pg_ctl
	RunAs string // whom it runs as; empty: whoever runs this program

	as *syscall.Credential
}

// StartPostgres makes a cluster and starts it; it answers when StartPostgres returns.
func StartPostgres(ctx context.Context, opts PostgresOptions) (p *Postgres, err error) {
	initdb, err := Need("initdb", "postgresql-15", "/usr/lib/postgresql/15/bin")
	if err != nil {
		return nil, err
	}
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil { // the others stand beside the real one
		return nil, err
	}
	p = &Postgres{Name: opts.Name, Port: opts.Port, Bin: filepath.Dir(initdb)}
	if p.Name == "" {
		p.Name = "lab"
	}
	if p.as, p.RunAs, err = notRoot(); err != nil {
		return nil, err
	}
	if p.Port == 0 {
		if p.Port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	if p.Dir, err = os.MkdirTemp("", "jenner-postgres-"); err != nil {
		return nil, err
	}
	p.Data = filepath.Join(p.Dir, "data")
	if err = p.make(ctx, opts); err == nil {
		err = p.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Remove())
	}
	return p, nil
}

// notRoot is whom a server runs as that refuses to be root; nil where this process is not root itself.
func notRoot() (*syscall.Credential, string, error) {
	if os.Geteuid() != 0 {
		return nil, "", nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, name, errors.Join(uidErr, gidErr)
	}
	return nil, "", errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody that it could run as")
}

// make makes the data directory and writes the settings.
func (p *Postgres) make(ctx context.Context, opts PostgresOptions) error {
	if p.as != nil {
		if err := os.Chown(p.Dir, int(p.as.Uid), int(p.as.Gid)); err != nil {
			return err
		}
	}
	var err error
	if from := opts.StandbyOf; from != nil {
		err = p.run(ctx, "pg_basebackup", "-D", p.Data, "-h", "127.0.0.1", "-p", strconv.Itoa(from.Port), "-U", "postgres",
			"-R", "-X", "stream", "-C", "-S", p.Name, "-c", "fast", "--no-sync")
	} else {
		err = p.run(ctx, "initdb", "-D", p.Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	}
	if err != nil {
		return err
	}
	settings := map[string]string{"cluster_name": p.Name, "port": strconv.Itoa(p.Port), "listen_addresses": "127.0.0.1",
		"unix_socket_directories": p.Dir, "max_connections": "30", "shared_buffers": "16MB", "wal_retrieve_retry_interval": "100ms",
		"dynamic_shared_memory_type": "mmap"}
	if opts.Careless {
		maps.Copy(settings, map[string]string{"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"})
	}
	maps.Copy(settings, opts.Settings)
	var lines bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&lines, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	file, err := os.OpenFile(filepath.Join(p.Data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = lines.WriteTo(file)
	return errors.Join(err, file.Close())
}

// run runs one of PostgreSQL's programs to its end.
func (p *Postgres) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Bin, program), args...)
	cmd.Dir = p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.as}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, said)
	}
	return nil
}

// Start starts the cluster where it does not run, and returns when it answers.
func (p *Postgres) Start(ctx context.Context) error {
	if _, runs := p.Pid(); runs {
		return nil
	}
	process, err := Start(Options{Dir: p.Dir, As: p.as, Path: filepath.Join(p.Dir, "log")}, filepath.Join(p.Bin, "postgres"), "-D", p.Data)
	if err != nil {
		return err
	}
	err = process.Await(ctx, func(ctx context.Context) error {
		return p.run(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port))
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, p.Said()), process.Stop(syscall.SIGQUIT, 5*time.Second))
	}
	return nil
}

// Said is the end of the server's log.
func (p *Postgres) Said() string {
	raw, err := os.ReadFile(filepath.Join(p.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-tailSize):])
}

// Pid is the process id of the server that runs in the data directory, whoever started it; false where none does.
func (p *Postgres) Pid() (int, bool) {
	raw, err := os.ReadFile(filepath.Join(p.Data, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	first, _, _ := bytes.Cut(raw, []byte("\n"))
	pid, err := strconv.Atoi(string(first))
	if err != nil || pid <= 0 {
		return 0, false
	}
	// A crash leaves the file behind, and the number may be another program's by now.
	where, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return pid, err == nil && where == p.Data
}

// Stop ends whichever server runs in the data directory: SIGINT ends it in good order, SIGQUIT at once, as a crash would.
// Stopping what does not run is nothing.
func (p *Postgres) Stop(ctx context.Context, signal syscall.Signal) error {
	pid, runs := p.Pid()
	if !runs {
		return nil
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, runs := p.Pid(); !runs || now != pid {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL with pid %d does not end: %w", pid, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Remove ends the cluster at once and removes its folder.
func (p *Postgres) Remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := p.Stop(ctx, syscall.SIGQUIT)
	// The children of a server that was killed end a moment later, and may still write.
	for {
		removeErr := os.RemoveAll(p.Dir)
		if removeErr == nil || !errors.Is(removeErr, fs.ErrExist) && !errors.Is(removeErr, syscall.ENOTEMPTY) || ctx.Err() != nil {
			return errors.Join(err, removeErr)
		}
	}
}
