package jenner

// Invariant is what a fault and its healing may not change, such as the number of orders that were lost. It is looked at
// when the fault is injected, and again when the service is well and the fault is gone. Either PromQL or Ask says what is
// looked at, and one of the bounds what must be so.
type Invariant struct {
	Name   string `json:"name"`             // unique within the experiment
	PromQL string `json:"promql,omitempty"` // must answer with one number; $service stands for the name of the service
	Ask    *Ask   `json:"ask,omitempty"`    // a probe that gives an answer, such as a count of rows or a checksum
	// RisesAtMost is by how much the number may be greater afterwards.
	RisesAtMost *Number `json:"rises_at_most,omitempty"`
	Below       *Number `json:"below,omitempty"` // afterwards the number must be at most this
	Above       *Number `json:"above,omitempty"` // afterwards the number must be at least this
	Same        bool    `json:"same,omitempty"`  // the number or the answer must be the same afterwards, letter for letter
}

// Ask is one question to a probe of any kind that gives an answer.
type Ask struct {
	Kind    string   `json:"kind" config:"-"` // the written key: command, sql …
	Params  Params   `json:"params,omitempty" rest:"kind"`
	Timeout Duration `json:"timeout,omitempty"` // 5s where not said
}

// Reading is an invariant as it was looked at in one round.
type Reading struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"` // the number or the answer when the fault was injected
	After  string `json:"after,omitempty"`  // and afterwards
	// Missing is why one of them is not known; empty where both are.
	Missing string `json:"missing,omitempty"`
	// Broken says which bound does not hold, with the values; empty where all hold, or where one is not known.
	Broken string `json:"broken,omitempty"`
}
