package strict

import (
	"errors"

	"github.com/jenner-heal/jenner"
)

// Decode reads parameters into a struct as Params does, lets the struct validate itself where it can, and gives all
// mistakes as one error. It is for who needs the value and has no file to point at.
func Decode(params jenner.Params, into any) error {
	var mistakes []error
	for _, problem := range Params(params, into) {
		mistakes = append(mistakes, errors.New(problem.Message))
	}
	if validator, can := into.(interface{ Validate() error }); can && len(mistakes) == 0 {
		mistakes = append(mistakes, validator.Validate())
	}
	return errors.Join(mistakes...)
}
