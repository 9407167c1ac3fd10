package kubernetes

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jenner-heal/jenner"
)

// What a fault writes onto each object that it changes or makes, in the same request as the change itself: the label, by
// which such objects are found cheaply, and one annotation a fault, jenner.dev/fault-ID, which says all that is needed to
// take it back. So any later Jenner can undo it, on another machine and without the journal.
const (
	touchedLabel  = "jenner.dev/fault"
	touchedValue  = "true"
	touchedByUs   = touchedLabel + "=" + touchedValue
	markPrefix    = "jenner.dev/fault-"
	mostMarkBytes = 64 << 10 // all annotations of an object together may have 256 KiB
)

// mark is what the annotation says.
type mark struct {
	Fault   string    `json:"fault"`             // its full name
	ID      string    `json:"id"`                // of its record
	By      string    `json:"by"`                // the drill, and the machine that it runs on
	UID     types.UID `json:"uid,omitempty"`     // of the object; Kubernetes copies annotations, and a copy is no fault
	At      time.Time `json:"at"`                // when it was injected
	Until   time.Time `json:"until"`             // its lease; later, whoever finds it takes it back
	Created bool      `json:"created,omitempty"` // the object itself is the fault's, and is deleted
	Changes []delta   `json:"changes,omitempty"`
	Hash    string    `json:"hash"` // SHA-256 of what the changes were before, as hashBefore has it
}

// marking is the mark of a record on an object.
func marking(record jenner.FaultRecord, uid types.UID, changes []delta) mark {
	return mark{Fault: record.Fault, ID: record.ID, By: whose(record), UID: uid, At: record.InjectedAt.UTC(), Until: record.Until.UTC(),
		Changes: changes, Hash: hashBefore(changes)}
}

func whose(record jenner.FaultRecord) string {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	if record.Drill == "" {
		return host
	}
	return record.Drill + " on " + host
}

// markKey is the annotation of a fault.
func markKey(id string) string {
	if key := markPrefix + id; len(validation.IsQualifiedName(key)) == 0 {
		return key
	}
	return markPrefix + jenner.Fingerprint(id)
}

// encode writes a mark.
func (m mark) encode() (string, error) {
	text, err := json.Marshal(m)
	if err == nil && len(text) > mostMarkBytes {
		err = jenner.Permanent(fmt.Errorf("what it was before has %d bytes, and an annotation of %d at most is to be made", len(text), mostMarkBytes),
			"choose a smaller object or key")
	}
	return string(text), err
}

// readMark reads a mark, and trusts nothing in it: whoever may change an object may also write such an annotation.
func readMark(key, text string) (mark, error) {
	var m mark
	if len(text) > mostMarkBytes {
		return m, fmt.Errorf("annotation %s has %d bytes, which is too long", key, len(text))
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields() // a newer Jenner's mark is for that one to take back
	if err := decoder.Decode(&m); err != nil {
		return m, fmt.Errorf("annotation %s cannot be read: %w", key, err)
	}
	return m, m.check(key)
}

func (m mark) check(key string) error {
	switch {
	case m.Fault == "" || m.ID == "" || markKey(m.ID) != key:
		return fmt.Errorf("annotation %s is about fault %q with ID %q, whose annotation it is not", key, m.Fault, m.ID)
	case m.Until.IsZero():
		return fmt.Errorf("annotation %s does not say when it is over", key)
	case m.Hash != hashBefore(m.Changes):
		return fmt.Errorf("annotation %s: what it keeps of before has hash %.12s, and it says %.12s", key, hashBefore(m.Changes), m.Hash)
	case m.Created && len(m.Changes) > 0:
		return fmt.Errorf("annotation %s is about an object that the fault made, and has changes", key)
	}
	return nil
}

// marksOf are the marks that an object bears, the newest first, and what is wrong with those that cannot be read.
func marksOf(object metav1.Object) ([]mark, error) {
	var found []mark
	var wrong []error
	annotations := object.GetAnnotations()
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(key, markPrefix) {
			continue
		}
		m, err := readMark(key, annotations[key])
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		found = append(found, m)
	}
	slices.SortStableFunc(found, func(a, b mark) int { return b.At.Compare(a.At) })
	return found, errors.Join(wrong...)
}

// markBy is the mark of one fault on an object.
func markBy(object metav1.Object, id string) (mark, bool, error) {
	key := markKey(id)
	text, has := object.GetAnnotations()[key]
	if !has {
		return mark{}, false, nil
	}
	m, err := readMark(key, text)
	return m, err == nil, err
}

// put writes a mark onto an object.
func (m mark) put(object metav1.Object) error {
	text, err := m.encode()
	if err != nil {
		return err
	}
	annotations, labels := maps.Clone(object.GetAnnotations()), maps.Clone(object.GetLabels())
	if annotations == nil {
		annotations = map[string]string{}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	annotations[markKey(m.ID)], labels[touchedLabel] = text, touchedValue
	object.SetAnnotations(annotations)
	object.SetLabels(labels)
	return nil
}

// unmark takes a fault's mark off an object, and the label with the last of them.
func unmark(object metav1.Object, id string) {
	annotations, labels := maps.Clone(object.GetAnnotations()), maps.Clone(object.GetLabels())
	delete(annotations, markKey(id))
	if !marked(annotations) {
		delete(labels, touchedLabel)
	}
	object.SetAnnotations(annotations)
	object.SetLabels(labels)
}

func marked(annotations map[string]string) bool {
	for key := range annotations {
		if strings.HasPrefix(key, markPrefix) {
			return true
		}
	}
	return false
}

// hashBefore is the SHA-256 of what fields were before, in hex: of their paths and values as JSON, one a line.
func hashBefore(changes []delta) string {
	var text bytes.Buffer
	for _, c := range changes {
		text.Write(jenner.Raw(c.Path))
		text.WriteByte('\t')
		text.Write(c.Was)
		text.WriteByte('\n')
	}
	return hashed(text.Bytes())
}

func hashed(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// brief is the beginning of a hash, for people.
func brief(hash string) string { return hash[:min(12, len(hash))] }
