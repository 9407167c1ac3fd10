package diagnose

import (
	"cmp"
	"slices"

	"github.com/jenner-heal/jenner"
)

// LowestFailing walks from a service down depends_on, through sick services only, to the lowest one: the one below
// which nothing is sick. External services are not walked to, for nothing of them can be healed from here. Of several
// lowest ones it is the deepest, counted along the longest way to it, and of equally deep ones the first by name; path
// leads from `from` to it, both included. A cycle of sick services is walked once around. sick is called at most once
// for each service.
func LowestFailing(services map[string]jenner.Service, from string, sick func(string) bool) (root string, path []string) {
	walk := &descent{services: services, sick: sick, known: map[string]bool{}, under: map[string]bool{}, best: map[string][]string{}}
	path = walk.down(from)
	return path[len(path)-1], path
}

// descent is one walk of LowestFailing.
type descent struct {
	services map[string]jenner.Service
	sick     func(string) bool
	known    map[string]bool     // answers of sick
	under    map[string]bool     // the services between `from` and here: going to one of them again would be a cycle
	best     map[string][]string // finished services, with the way to the lowest one below them
}

func (d *descent) down(name string) []string {
	if done, ok := d.best[name]; ok {
		return done
	}
	d.under[name] = true
	var below []string
	for _, next := range d.services[name].DependsOn {
		if d.under[next] || d.services[next].External || !d.isSick(next) {
			continue
		}
		if way := d.down(next); below == nil || deeper(way, below) {
			below = way
		}
	}
	delete(d.under, name)
	d.best[name] = append([]string{name}, below...)
	return d.best[name]
}

func (d *descent) isSick(name string) bool {
	answer, asked := d.known[name]
	if !asked {
		answer = d.sick(name)
		d.known[name] = answer
	}
	return answer
}

// deeper prefers the longer way, then the lowest service by name, then the way by name.
func deeper(a, b []string) bool {
	return cmp.Or(
		-cmp.Compare(len(a), len(b)),
		cmp.Compare(a[len(a)-1], b[len(b)-1]),
		slices.Compare(a, b)) < 0
}

// Dependencies are all services that the named one needs, directly or through others, sorted by name and without
// itself. External services are among them; what they in turn need is not, for that is theirs.
func Dependencies(services map[string]jenner.Service, name string) []string {
	return reachable(name, func(at string) []string {
		if at != name && services[at].External {
			return nil
		}
		return services[at].DependsOn
	})
}

// Dependants are all services that need the named one, directly or through others, sorted by name and without itself.
func Dependants(services map[string]jenner.Service, name string) []string {
	needs := map[string][]string{}
	for _, service := range services {
		for _, needed := range service.DependsOn {
			needs[needed] = append(needs[needed], service.Name)
		}
	}
	return reachable(name, func(at string) []string { return needs[at] })
}

func reachable(from string, next func(string) []string) []string {
	seen := map[string]bool{from: true}
	var found []string
	for ahead := []string{from}; len(ahead) > 0; ahead = ahead[1:] {
		for _, name := range next(ahead[0]) {
			if !seen[name] {
				seen[name] = true
				found = append(found, name)
				ahead = append(ahead, name)
			}
		}
	}
	slices.Sort(found)
	return found
}
