package decide

import (
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
)

// Caps are what the commit that begins the run must hold to: what guards blast and concurrency have counted, to be
// counted once more within the transaction, for others may begin at the same moment. Where both guards agree, and the
// ledger that they saw is complete, jenner.CheckCaps gives no error. Caps is pure and may be called concurrently.
func Caps(in Input) []jenner.Cap {
	caps := []jenner.Cap{{Scope: jenner.CapAll, Max: in.Limits.AtOnce()}}
	places := wantedPlaces(in)
	for _, service := range servicesOf(places) {
		allowed := in.Limits.OfService()
		if service == in.Service.Name {
			allowed = allowedOfService(in)
		}
		caps = append(caps, jenner.Cap{Scope: jenner.CapService, Name: service, Max: allowed})
	}
	for _, place := range places {
		caps = append(caps, jenner.Cap{Scope: jenner.CapTarget, Name: place, Max: 1})
	}
	if in.Policy.MaxConcurrent > 0 {
		caps = append(caps, jenner.Cap{Scope: jenner.CapPolicy, Name: policyName(in), Max: in.Policy.MaxConcurrent})
	}
	return caps
}

// placeOf is the place of the target at hand.
func placeOf(in Input) string {
	return jenner.LedgerEntry{Service: in.Service.Name, Target: in.Target}.Place()
}

// wantedPlaces are all targets that the run would touch, each once, sorted; the target at hand is always among them.
func wantedPlaces(in Input) []string {
	places := append(slices.Clone(in.Places), placeOf(in))
	slices.Sort(places)
	return slices.Compact(places)
}

// servicesOf are the services of sorted places, each once, sorted.
func servicesOf(places []string) []string {
	var services []string
	for _, place := range places {
		services = append(services, serviceOf(place))
	}
	slices.Sort(services)
	return slices.Compact(services)
}

func serviceOf(place string) string {
	service, _, _ := strings.Cut(place, "/")
	return service
}

// isNamed tells whether a place names a service, a kind and a target.
func isNamed(place string) bool {
	parts := strings.SplitN(place, "/", 3)
	return len(parts) == 3 && !slices.Contains(parts, "")
}
