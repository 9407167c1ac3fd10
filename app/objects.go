package app

import (
	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// readObjects loads and checks files and objects together, and tells what became of each object.
func (a *App) readObjects() (*jenner.Documents, error) {
	loaded, standings, err := config.LoadObjects(catalog.Names{Catalog: a.Catalog}, a.Objects(), a.Config...)
	if err != nil {
		return nil, err
	}
	for _, warning := range loaded.Warnings() {
		a.Logger.Warn(warning.String())
	}
	for _, standing := range standings {
		if standing.Choice != config.ChoseSpec {
			a.Logger.Error("an object is wrong", "object", standing.Object.Origin, "in force", standing.Choice, "why", standing.Problems.Error())
		}
	}
	if a.OnObjects != nil {
		a.OnObjects(standings)
	}
	return loaded.Documents, nil
}
