package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Find finds services that say what they are by labels and annotations. Beside an error it may give those that are right.
type Find func(ctx context.Context, kubeconfig, contextName string, namespaces []string) ([]jenner.Service, error)

// Discovered are the services that were found lately. It is safe for concurrent use.
type Discovered struct {
	find       Find
	place      Place
	namespaces []string
	log        *slog.Logger

	mu       sync.Mutex
	services []jenner.Service
	said     string
}

// discoverEvery is how often services are looked for: what is new need not be healed within seconds.
const discoverEvery = 30 * time.Second

// Discover makes what looks for services in some namespaces. What cannot be found out is logged, and what was found before
// stays.
func Discover(find Find, place Place, namespaces []string, logger *slog.Logger) *Discovered {
	return &Discovered{find: find, place: place, namespaces: namespaces, log: logger}
}

// Run looks again and again until ctx ends, and calls changed when others are found than before.
func (d *Discovered) Run(ctx context.Context, changed func()) {
	ticker := time.NewTicker(discoverEvery)
	defer ticker.Stop()
	for {
		if d.Look(ctx) {
			changed()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Look looks once. It tells whether others are found than before.
func (d *Discovered) Look(ctx context.Context) bool {
	services, err := d.find(ctx, d.place.Kubeconfig, d.place.Context, d.namespaces)
	d.mu.Lock()
	defer d.mu.Unlock()
	said := ""
	if err != nil {
		said = err.Error()
	}
	if said != d.said && said != "" && ctx.Err() == nil {
		d.log.Warn("not all services can be discovered", "error", err)
	}
	d.said = said
	if err != nil && len(services) == 0 || reflect.DeepEqual(services, d.services) {
		return false
	}
	d.services = services
	return true
}

// Objects are the services as documents. One that is also written yields to that.
func (d *Discovered) Objects() []config.Object {
	d.mu.Lock()
	defer d.mu.Unlock()
	var objects []config.Object
	for _, service := range d.services {
		object := config.Object{Kind: "service", Name: service.Name, Origin: "discovered service " + service.Name, Dir: objectDir, Yields: true}
		var err error
		if object.Spec, err = specOf(service); err != nil {
			d.log.Warn("a discovered service cannot be taken", "service", object.Name, "error", err)
			continue
		}
		objects = append(objects, object)
	}
	return objects
}

// specOf is a service as its custom resource would say it.
func specOf(service jenner.Service) (json.RawMessage, error) {
	raw, err := strict.Write(service)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	delete(fields, "name")
	return jenner.Raw(fields), nil
}
