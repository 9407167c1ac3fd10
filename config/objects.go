package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Object is a document that is no part of a file: a custom resource, or a service that was discovered.
type Object struct {
	Kind   string // one of Kinds
	Name   string
	Origin string          // what messages call it; unique among objects and files: `policy shop/pool`
	Dir    string          // where relative paths start from
	Spec   json.RawMessage // the fields but for the name, as a mapping
	// Before is the spec of it that was in force before this one; nil where none is known. It stays in force while Spec is wrong.
	Before json.RawMessage
	// Yields leaves it out without a word where another document has its kind and name.
	Yields bool
}

// Choice says which version of an object is in force.
type Choice string

// The choices.
const (
	ChoseSpec   Choice = "spec"   // as it is written now
	ChoseBefore Choice = "before" // as it was before, for what is written now is wrong
	ChoseNone   Choice = "none"   // it is left out
)

// Standing is what became of one object.
type Standing struct {
	Object   Object
	Choice   Choice
	Problems Problems // of Spec, where another choice was made
	Warnings Problems // of the version in force
}

// LoadObjects loads and checks files and objects together. Mistakes in the files refuse everything, as with Load and
// Check: files stand on their own and must not refer to objects. Objects may refer to files and to each other. One that is
// wrong stays as it was before, or is left out where it never was right, and so does whatever cannot do without the new
// version; the others are not touched. There may be no path where there are objects. names must be set.
//
// What decides in place of a policy that is wrong recommends at most until it is mended: its older version, or, where it is
// left out, the other policies for the same cause. It may have been written to keep them back.
func LoadObjects(names Names, objects []Object, path ...string) (*Loaded, []Standing, error) {
	files := &Loaded{Documents: &jenner.Documents{}, places: map[place]positions{}}
	if len(path) > 0 {
		loaded, err := Load(path...)
		if err != nil {
			return nil, nil, err
		}
		if problems := loaded.Check(names); len(problems) > 0 {
			return nil, nil, problems
		}
		files = loaded
	}
	s := &settling{names: names, files: files, objects: slices.Clone(objects), chosen: make([]Choice, len(objects)), told: make([]Problems, len(objects))}
	for i := range objects {
		s.chosen[i] = ChoseSpec
		if same(objects[i].Spec, objects[i].Before) {
			s.objects[i].Before = nil
		}
	}
	s.demote()
	for s.promote() {
	}
	loaded, _ := s.load()
	standings := s.standings(loaded.Warnings())
	shy(loaded.Documents, standings)
	return loaded, standings, nil
}

// same tells whether two specs say the same.
func same(a, b json.RawMessage) bool {
	var one, other any
	return json.Unmarshal(a, &one) == nil && json.Unmarshal(b, &other) == nil && reflect.DeepEqual(one, other)
}

// settling is one call of LoadObjects.
type settling struct {
	names   Names
	files   *Loaded
	objects []Object
	chosen  []Choice
	told    []Problems
}

// load makes the documents of the files and of the versions that are chosen, and finds all that is wrong with them.
func (s *settling) load() (*Loaded, Problems) {
	docs := *s.files.Documents
	l := &loader{loaded: &Loaded{Documents: &docs, places: maps.Clone(s.files.places)}}
	for i, object := range s.objects {
		if spec := s.version(i); spec != nil {
			l.object(object, spec)
		}
	}
	return l.loaded, sorted(slices.Concat(l.problems, l.loaded.Check(s.names)))
}

func (s *settling) version(i int) json.RawMessage {
	switch s.chosen[i] {
	case ChoseSpec:
		return s.objects[i].Spec
	case ChoseBefore:
		return s.objects[i].Before
	}
	return nil
}

// demote takes back whatever is to blame until nothing is wrong. It takes back too much: of two that do not fit together,
// both may be blamed.
func (s *settling) demote() {
	for {
		_, problems := s.load()
		if len(problems) == 0 {
			return
		}
		blamed := false
		for i, object := range s.objects {
			if s.chosen[i] != ChoseNone && len(about(problems, object.Origin)) > 0 {
				s.chosen[i], blamed = next(s.chosen[i], object), true
			}
		}
		if !blamed { // a file came to be wrong by an object, and nobody knows by which
			for i := range s.objects {
				s.chosen[i] = ChoseNone
			}
			return
		}
	}
}

func next(choice Choice, object Object) Choice {
	if choice == ChoseSpec && object.Before != nil {
		return ChoseBefore
	}
	return ChoseNone
}

// promote tries each object that was taken back in a better version, and keeps what does no harm. It tells whether one was
// kept, for then others may fit.
func (s *settling) promote() (kept bool) {
	for i, object := range s.objects {
		was := s.chosen[i]
		for _, better := range []Choice{ChoseSpec, ChoseBefore} {
			if better == was {
				break
			}
			s.chosen[i] = better
			if s.version(i) == nil {
				s.chosen[i] = was
				continue
			}
			_, problems := s.load()
			if len(problems) == 0 {
				kept = true
				break
			}
			s.chosen[i] = was
			if better == ChoseSpec {
				s.told[i] = blame(problems, object.Origin)
			}
		}
	}
	return kept
}

// blame are the problems of an object; where others suffer by it, theirs.
func blame(problems Problems, origin string) Problems {
	if own := about(problems, origin); len(own) > 0 {
		return own
	}
	var caused Problems
	for _, problem := range problems {
		caused = append(caused, Problem{File: origin, Path: "spec", Message: "with it, this is wrong: " + problem.String()})
	}
	return caused
}

func about(problems Problems, origin string) Problems {
	var own Problems
	for _, problem := range problems {
		if problem.File == origin {
			own = append(own, problem)
		}
	}
	return own
}

func (s *settling) standings(warnings Problems) []Standing {
	standings := make([]Standing, 0, len(s.objects))
	for i, object := range s.objects {
		standing := Standing{Object: object, Choice: s.chosen[i], Warnings: about(warnings, object.Origin)}
		if standing.Choice != ChoseSpec {
			standing.Problems = s.told[i]
		}
		standings = append(standings, standing)
	}
	return standings
}

// object adds one version of an object.
func (l *loader) object(object Object, spec json.RawMessage) {
	if _, taken := l.loaded.places[place{object.Kind, object.Name}]; taken && object.Yields {
		return
	}
	node, err := strict.JSON(spec)
	switch {
	case err != nil:
		l.mistake(object.Origin, strict.Problem{Message: fmt.Sprintf("it is no JSON: %v", err)})
	case node.Kind != yaml.MappingNode:
		l.mistake(object.Origin, strict.Problem{Message: "it must be a mapping with the fields of a " + object.Kind})
	case valueOf(node, "name") != nil:
		l.mistake(object.Origin, strict.Problem{Path: "/name", Message: "the name stands in metadata and in spec; leave it to metadata"})
	default:
		name, _ := strict.JSON(jenner.Raw(object.Name))
		key, _ := strict.JSON(jenner.Raw("name"))
		if object.Kind != kindLimits {
			node.Content = append([]*yaml.Node{key, name}, node.Content...)
		}
		l.add(&form{object.Kind, node}, object.Dir, jenner.Source{File: object.Origin}, false)
		return
	}
	l.loaded.broken.all = true
}

var pathStep = regexp.MustCompile(`\.(\d+)`)

// specPath is a JSON pointer as people write it in Kubernetes: spec.steps[2].action.
func specPath(pointer string) string {
	if pointer == "/name" {
		return "metadata.name"
	}
	path := pathStep.ReplaceAllString(strings.ReplaceAll(pointer, "/", "."), "[$1]")
	return "spec" + strings.NewReplacer("~1", "/", "~0", "~").Replace(path)
}

// shy lowers the policies that decide in place of those that are not in force as they are written.
func shy(docs *jenner.Documents, standings []Standing) {
	for i := range standings {
		standing := &standings[i]
		if standing.Object.Kind != kindPolicy || standing.Choice == ChoseSpec {
			continue
		}
		var written struct {
			IncidentType string `json:"incident_type"`
		}
		known := json.Unmarshal(standing.Object.Spec, &written) == nil && written.IncidentType != ""
		var lowered []string
		for j := range docs.Policies {
			policy := &docs.Policies[j]
			instead := policy.Source.File == standing.Object.Origin
			if standing.Choice == ChoseNone {
				instead = !known || string(policy.IncidentType) == written.IncidentType
			}
			if instead && lower(policy) {
				lowered = append(lowered, policy.Name)
			}
		}
		if len(lowered) > 0 {
			standing.Warnings = append(standing.Warnings, Problem{File: standing.Object.Origin, Path: "spec",
				Message: "until it is mended, what decides in its place only recommends: " + strings.Join(lowered, ", ")})
		}
	}
}

// lower makes a policy recommend at most, and tells whether that changed anything.
func lower(policy *jenner.Policy) bool {
	changed := false
	if mode := policy.EffectiveMode(); mode.Boldness() > jenner.ModeRecommend.Boldness() {
		policy.Mode, changed = jenner.ModeRecommend, true
	}
	modes := maps.Clone(policy.Modes)
	for environment, mode := range modes {
		if mode.Boldness() > jenner.ModeRecommend.Boldness() {
			modes[environment], changed = jenner.ModeRecommend, true
		}
	}
	policy.Modes = modes
	return changed
}
