package catalog

import (
	"fmt"

	"github.com/jenner-heal/jenner/internal/strict"
)

// Unknown is the error for a name that is not among the known ones; it offers the nearest right spelling.
func Unknown(what, name string, known []string) error {
	return fmt.Errorf("unknown %s %q%s", what, name, strict.Hint(name, known))
}
