package git

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jenner-heal/jenner"
)

// repository is where the versions of a target's file are read.
type repository struct {
	target *TargetGitfile
	folder string // of the repository itself, or of its mirror
}

// open finds the repository's folder without asking anybody.
func (t *TargetGitfile) open() (repository, error) {
	if !t.isURL() {
		return repository{t, t.Repository}, nil
	}
	cache := t.Cache
	if cache == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return repository{}, jenner.Permanent(fmt.Errorf("there is no folder for the mirror of %s: %w", t.Repository, err), "write cache: FOLDER")
		}
		cache = filepath.Join(home, "jenner", "git")
	}
	return repository{t, filepath.Join(cache, jenner.Fingerprint(t.Repository)+".git")}, nil
}

// remote is whom the target's revision must be fetched from: the URL, or a remote of the clone. Empty where the
// repository is all there is.
func (r repository) remote(ctx context.Context) (string, error) {
	if r.target.isURL() {
		return r.target.Repository, nil
	}
	name, _, both := strings.Cut(r.target.Revision, "/")
	if !both {
		return "", nil
	}
	remotes, err := run(ctx, r.folder, "remote")
	if err != nil || !slices.Contains(strings.Fields(string(remotes)), name) {
		return "", err
	}
	return name, nil
}

// fetch asks whoever has the revision for the newest of it, and tells whether there was anybody to ask.
func (r repository) fetch(ctx context.Context) (asked bool, err error) {
	remote, err := r.remote(ctx)
	switch {
	case err != nil || remote == "":
		return false, err
	case r.target.isURL():
		err = fetchInto(ctx, r.folder, remote, r.target.Revision)
	default:
		_, err = run(ctx, r.folder, "fetch", "--quiet", "--end-of-options", remote)
	}
	if err != nil {
		err = jenner.Retryable(fmt.Errorf("%s could not be fetched: %w", remote, err), "")
	}
	return true, err
}

// version is one version of the file.
type version struct {
	Commit string
	Blob   string      // the name of its content
	Mode   os.FileMode // 0644 or 0755
}

// head is the newest version.
func (r repository) head(ctx context.Context) (version, error) {
	revision := r.target.Revision
	if revision == "" {
		revision = "HEAD"
	}
	commit, err := run(ctx, r.folder, "rev-parse", "--verify", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return version{}, fmt.Errorf("revision %s: %w", revision, err)
	}
	head := version{Commit: strings.TrimSpace(string(commit))}
	listed, err := run(ctx, r.folder, "ls-tree", "-z", "--full-tree", head.Commit, "--", r.target.Path)
	if err != nil {
		return head, err
	}
	fields := strings.Fields(strings.SplitN(string(listed), "\t", 2)[0]) // MODE TYPE NAME, a tab, the path
	if len(fields) != 3 || fields[1] != "blob" || !strings.HasPrefix(fields[0], "100") {
		return head, jenner.Permanent(fmt.Errorf("%s has no file %s at %s (%s)", r.target.Repository, r.target.Path, revision, short(head.Commit)),
			"compare with another path or revision")
	}
	mode, err := strconv.ParseUint(fields[0], 8, 32)
	if err != nil {
		return head, fmt.Errorf("git ls-tree says mode %q: %w", fields[0], err)
	}
	head.Blob, head.Mode = fields[2], os.FileMode(mode).Perm()
	return head, nil
}

// content gives the bytes of a version.
func (r repository) content(ctx context.Context, blob string) ([]byte, error) {
	return run(ctx, r.folder, "cat-file", "blob", blob)
}

// older are the versions of the file that were committed last, the newest first, at most so many.
func (r repository) older(ctx context.Context, from version, most int) ([]version, error) {
	said, err := run(ctx, r.folder, "log", "--format=commit %H", "--raw", "--no-abbrev", "--no-renames", "-n", strconv.Itoa(most),
		from.Commit, "--", r.target.Path)
	if err != nil {
		return nil, err
	}
	var versions []version
	commit := ""
	for line := range strings.Lines(string(said)) {
		if name, is := strings.CutPrefix(line, "commit "); is {
			commit = strings.TrimSpace(name)
			continue
		}
		fields := strings.Fields(line) // :MODE MODE NAME NAME STATUS PATH
		if len(fields) >= 5 && strings.HasPrefix(fields[0], ":") && strings.HasPrefix(fields[1], "100") {
			versions = append(versions, version{Commit: commit, Blob: fields[3]})
		}
	}
	return versions, nil
}

// blobName is the name that a repository has for content, by the hash that the repository's other names are made with.
func blobName(content []byte, like string) string {
	var sum hash.Hash = sha1.New()
	if len(like) == hex.EncodedLen(sha256.Size) {
		sum = sha256.New()
	}
	fmt.Fprintf(sum, "blob %d\x00", len(content))
	sum.Write(content)
	return hex.EncodeToString(sum.Sum(nil))
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// standing is how the live file stands to the repository.
type standing struct {
	head version
	live live
	// behind counts the versions that came after the one that the live file is: 0 is the newest, drifted none at all.
	behind int
	at     version // the one that it is
}

// drifted is a live file that is no committed version.
const drifted = -1

// stand compares the live file with the newest version and with those before it, at most so many.
func (r repository) stand(ctx context.Context, most int) (standing, error) {
	head, err := r.head(ctx)
	if err != nil {
		return standing{}, err
	}
	now, err := readLive(r.target.File)
	if err != nil {
		return standing{}, err
	}
	s := standing{head: head, live: now, behind: drifted}
	blob := blobName(now.content, head.Blob)
	switch {
	case !now.exists:
		return s, nil
	case blob == head.Blob:
		s.behind, s.at = 0, head
		return s, nil
	}
	versions, err := r.older(ctx, head, most)
	for i, version := range versions {
		if version.Blob == blob {
			s.behind, s.at = max(1, i), version
			break
		}
	}
	return s, err
}

// String tells it in one line.
func (s standing) String() string {
	switch {
	case !s.live.exists:
		return s.live.path + " is not there"
	case s.behind == drifted:
		return fmt.Sprintf("%s is no committed version", s.live.path)
	case s.behind == 0:
		return fmt.Sprintf("%s is as committed in %s", s.live.path, short(s.head.Commit))
	}
	return fmt.Sprintf("%s is as committed in %s, %d before the newest", s.live.path, short(s.at.Commit), s.behind)
}

// difference shows the first lines in which two texts differ, as diff does, in at most a few hundred characters.
func difference(committed, live []byte) string {
	if bytes.IndexByte(committed, 0) >= 0 || bytes.IndexByte(live, 0) >= 0 {
		return "binary content differs"
	}
	was, is := strings.Split(string(committed), "\n"), strings.Split(string(live), "\n")
	first := 0
	for first < min(len(was), len(is)) && was[first] == is[first] {
		first++
	}
	tail := 0
	for tail < min(len(was), len(is))-first && was[len(was)-1-tail] == is[len(is)-1-tail] {
		tail++
	}
	text := fmt.Sprintf("line %d:", first+1)
	for _, side := range []struct {
		sign  string
		lines []string
	}{{"-", was[first : len(was)-tail]}, {"+", is[first : len(is)-tail]}} {
		for i, line := range side.lines {
			if i == 2 {
				text += fmt.Sprintf(" %s… %d more", side.sign, len(side.lines)-i)
				break
			}
			text += " " + side.sign + clipped(strings.TrimSpace(line))
		}
	}
	return text
}

func clipped(line string) string {
	if runes := []rune(strings.ToValidUTF8(line, "?")); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return strings.ToValidUTF8(line, "?")
}

// errMeanwhile says that somebody else wrote the live file after it was read.
var errMeanwhile = errors.New("somebody else changed the file meanwhile")
