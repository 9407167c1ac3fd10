package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jenner-heal/jenner"
)

// A fenced cluster cannot be started by anybody: its PG_VERSION, without which PostgreSQL takes a folder for no cluster, is
// called fencedName. It also has a standby.signal: whoever gives it its PG_VERSION back by hand still starts no primary.
const (
	versionName = "PG_VERSION"
	fencedName  = "PG_VERSION.fenced-by-jenner"
	signalName  = "standby.signal"
)

func (s *server) has(name string) (bool, error) {
	_, err := os.Lstat(filepath.Join(s.Data, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// fenced tells whether the cluster was fenced.
func (s *server) fenced() (bool, error) { return s.has(fencedName) }

// raise puts the fence up. Both of its halves may be there already.
func (s *server) raise() error {
	signal, err := os.OpenFile(filepath.Join(s.Data, signalName), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if s.as != nil {
		err = signal.Chown(int(s.as.Uid), int(s.as.Gid))
	}
	if err := errors.Join(err, signal.Close()); err != nil {
		return err
	}
	is, err := s.fenced()
	if err != nil || is {
		return err
	}
	if err := os.Rename(filepath.Join(s.Data, versionName), filepath.Join(s.Data, fencedName)); err != nil {
		return err
	}
	return s.syncData()
}

// lower takes the fence away, and the standby.signal where it came with it. It tells whether there was one.
func (s *server) lower(signalToo bool) (bool, error) {
	is, err := s.fenced()
	if err != nil || !is {
		return false, err
	}
	if signalToo {
		if err := os.Remove(filepath.Join(s.Data, signalName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	if err := os.Rename(filepath.Join(s.Data, fencedName), filepath.Join(s.Data, versionName)); err != nil {
		return false, err
	}
	return true, s.syncData()
}

func (s *server) syncData() error {
	dir, err := os.Open(s.Data)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// mayStart refuses to start what must stay down: a fenced cluster, and a primary beside another one. asStandby tells that
// it will follow another one.
func (s *server) mayStart(ctx context.Context, service jenner.Service) error {
	is, err := s.fenced()
	if err != nil {
		return err
	}
	if is {
		return jenner.Permanent(fmt.Errorf("%s is fenced, so that it does not come back as a second primary", s.ref),
			"make a standby of the present primary of it, or undo the fence")
	}
	follows, err := s.has(signalName)
	if err != nil || follows {
		return err
	}
	primary, err := otherPrimary(ctx, service, s.ref)
	if err != nil {
		return err
	}
	if primary != "" {
		return jenner.Permanent(fmt.Errorf("%s would come back as a second primary: %s takes the writes", s.ref, primary), "fence it")
	}
	return nil
}
