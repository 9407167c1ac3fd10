package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// The files of the key pair, in the data directory.
const (
	KeyFile    = "audit.key" // private, mode 0600
	PublicFile = "audit.pub" // to be given to whoever checks proofs
)

// Signer signs heads. It is safe for concurrent use.
type Signer struct {
	key      note.Signer
	verifier note.Verifier
	public   string
}

// Verifier checks what the signer signs.
func (s *Signer) Verifier() note.Verifier { return s.verifier }

// Public is the public key in note's form, as audit.pub holds it.
func (s *Signer) Public() string { return s.public }

// OpenSigner reads dir/audit.key and dir/audit.pub, or makes them at first use: name is who signs, without blanks and
// plus signs. Several processes may do so at once; all get the same key. Where the private key is lost or broken, or
// does not belong to the public one, it is an error and never a new key: a new one could not vouch for the old entries.
func OpenSigner(dir, name string) (*Signer, error) {
	public, err := readKey(dir, PublicFile)
	if err != nil {
		return nil, err
	}
	secret, err := readKey(dir, KeyFile)
	if err != nil {
		return nil, err
	}
	if secret == "" && public != "" {
		return nil, fmt.Errorf("%s is missing although %s is there; restore it from a backup, or move the whole data directory away to begin a new log",
			filepath.Join(dir, KeyFile), filepath.Join(dir, PublicFile))
	}
	if secret == "" {
		if secret, err = makeKey(dir, name); err != nil {
			return nil, err
		}
	}
	signer, err := newSigner(secret)
	if err != nil {
		return nil, fmt.Errorf("%s is broken: %w; restore it from a backup, or move the whole data directory away to begin a new log",
			filepath.Join(dir, KeyFile), err)
	}
	if public == "" {
		if err := writeNew(dir, PublicFile, signer.public, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		return signer, nil
	}
	if public != signer.public {
		return nil, fmt.Errorf("%s does not belong to %s; restore the one that was changed from a backup",
			filepath.Join(dir, PublicFile), filepath.Join(dir, KeyFile))
	}
	return signer, nil
}

// ReadPublic reads dir/audit.pub, for whoever verifies without the private key.
func ReadPublic(dir string) (note.Verifier, error) {
	public, err := readKey(dir, PublicFile)
	if err != nil {
		return nil, err
	}
	if public == "" {
		return nil, fmt.Errorf("%s: %w; without the public key the audit log cannot be verified", filepath.Join(dir, PublicFile), fs.ErrNotExist)
	}
	return ParsePublic(public)
}

// ParsePublic reads a public key in note's form; white space around it does not matter.
func ParsePublic(pub string) (note.Verifier, error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(pub))
	if err != nil {
		return nil, fmt.Errorf("this is not the public key of an audit log: %w; it is the one line in %s", err, PublicFile)
	}
	return verifier, nil
}

// newSigner reads a private key and derives the public one, so that the two cannot disagree.
func newSigner(secret string) (*Signer, error) {
	key, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	public, err := publicOf(secret)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, verifier: verifier, public: public}, nil
}

// publicOf derives the public key from a private one that note has accepted: PRIVATE+KEY+name+hash+base64 of the
// algorithm's byte and the seed.
func publicOf(secret string) (string, error) {
	parts := strings.SplitN(secret, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil {
		return "", err
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("it is not an Ed25519 key")
	}
	return note.NewEd25519VerifierKey(parts[2], public)
}

// makeKey makes a key pair and gives the private key that is stored then: another process's, if that came first.
func makeKey(dir, name string) (string, error) {
	secret, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", fmt.Errorf("a key for the audit log: %w", err)
	}
	if _, err := newSigner(secret); err != nil {
		return "", fmt.Errorf("%q cannot sign an audit log: %w; a name has no blanks and no plus signs", name, err)
	}
	err = writeNew(dir, KeyFile, secret, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return readKey(dir, KeyFile)
	}
	return secret, err
}

// readKey gives the one line of a key file, or nothing where there is no such file.
func readKey(dir, file string) (string, error) {
	read, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("a key of the audit log cannot be read: %w; let the user that runs jenner read it", err)
	}
	line := string(bytes.TrimSpace(read))
	if line == "" {
		return "", fmt.Errorf("%s is empty; restore it from a backup, or move the whole data directory away to begin a new log",
			filepath.Join(dir, file))
	}
	return line, nil
}

// writeNew writes a file that must not be there yet, so that it is there whole and synced, or not at all.
func writeNew(dir, file, content string, mode fs.FileMode) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%s cannot be written: %w", filepath.Join(dir, file), err)
		}
	}()
	draft, err := os.CreateTemp(dir, "."+file+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	_, err = draft.WriteString(content + "\n")
	err = errors.Join(err, draft.Chmod(mode), draft.Sync(), draft.Close())
	if err != nil {
		return err
	}
	// A link, unlike a rename, refuses to replace what somebody else has written meanwhile.
	if err := os.Link(draft.Name(), filepath.Join(dir, file)); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
