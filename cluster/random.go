package cluster

import (
	"crypto/rand"
	"encoding/hex"
)

// random is a few letters that nobody else has.
func random() string {
	var chance [4]byte
	_, _ = rand.Read(chance[:]) // never fails, says its documentation
	return hex.EncodeToString(chance[:])
}
