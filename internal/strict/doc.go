// Package strict decodes YAML and JSON into typed structs and forgives nothing: an unknown key, a wrong unit or a wrong
// shape is a problem that names its line, its place and the nearest right spelling. All problems are found at once.
//
// It is for documents and parameters that people write. It is not for the program's own stored state, which is plain
// encoding/json.
package strict
