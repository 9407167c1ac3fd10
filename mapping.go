package jenner

// Mapping is a document: whose the alerts are that come from outside, by their labels. The rules of all mappings are
// looked at in the order in which they are read, by file and within a file from the top; the first one that holds decides.
//
// A label jenner_service that is a known service's name comes before all rules, a label service that is one after them.
type Mapping struct {
	Name   string        `json:"name"`  // unique among mappings
	Rules  []MappingRule `json:"rules"` // the first one that holds decides
	Source Source        `json:"-"`
}

// MappingRule gives alerts with certain labels to a service. In Service and Target, what stands in {{ }} is CEL over
// labels, such as {{ labels.app }}. A rule whose service or target is not there, or whose labels are missing, does not
// hold.
type MappingRule struct {
	// Match are regular expressions (RE2) by label. Each must fit the label's whole value; a label that is not there is empty.
	Match   map[string]string `json:"match"`
	Service string            `json:"service,omitempty"` // the service's name
	Target  string            `json:"target,omitempty"`  // a target of that service; its first one where not said
	Ignore  bool              `json:"ignore,omitempty"`  // such alerts are nobody's: they are counted, and passed over
}
