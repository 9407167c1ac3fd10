// Package sim is a fake world with knobs: services that live, hang, answer late or not at all, and that need each other.
//
// It is for tests and simulations only: whole incidents run against it in milliseconds, under a clock that the test
// holds. It is not for anything real, and no program of Jenner's own has it among its providers.
//
// Because a catalog builds its values without arguments, the worlds stand in a registry of the process, by id; a target
// of kind sim names its world and, by its own name, the service there:
//
//	targets: [{kind: sim, name: checkout, world: story-7}]
//	probes:  [{name: ready, answer: {world: story-7}, every: 250ms}]
package sim

import (
	"fmt"
	"sync"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "sim", Doc: "A fake world, for tests and simulations", Kinds: []string{"sim"}}

// worlds are those of this process by id.
var worlds = struct {
	sync.Mutex
	byID map[string]*World
}{byID: map[string]*World{}}

func worldOf(id string) (*World, error) {
	worlds.Lock()
	defer worlds.Unlock()
	if world, known := worlds.byID[id]; known {
		return world, nil
	}
	return nil, jenner.Permanent(fmt.Errorf("there is no fake world %q in this process", id), "make it with sim.NewWorld first")
}

// find gives the world of a target, in which a service of the target's name stands.
func find(target jenner.Target) (*World, error) {
	var params Target
	if err := strict.Decode(target.Params, &params); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	world, err := worldOf(params.World)
	if err != nil {
		return nil, err
	}
	return world, world.Has(target.Name)
}
