package sim

import "errors"

func init() {
	Provider.Target("sim", "One service of a fake world", func() any { return &Target{} })
}

// Target is what a target of kind sim needs to know besides its name, which is that of the world's service.
type Target struct {
	// World is the id that the world was made with.
	World string `json:"world"`
}

// Validate asks for a world.
func (t *Target) Validate() error {
	if t.World == "" {
		return errors.New("world is missing; write the id of the fake world")
	}
	return nil
}
