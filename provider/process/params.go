package process

import (
	"errors"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// decodeParams reads parameters into a struct and gives all mistakes as one error.
func decodeParams(params jenner.Params, into any) error {
	var mistakes []error
	for _, problem := range strict.Params(params, into) {
		mistakes = append(mistakes, errors.New(problem.Message))
	}
	return errors.Join(mistakes...)
}
