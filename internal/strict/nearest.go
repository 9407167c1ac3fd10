package strict

import "strings"

// Hint is "; did you mean X?" where one of the known names is near to what was written, else the known ones where they
// are few, else nothing.
func Hint(written string, known []string) string {
	if near := Nearest(written, known); near != "" {
		return `; did you mean "` + near + `"?`
	}
	if len(known) > 0 && len(known) <= 12 {
		return "; known: " + strings.Join(known, ", ")
	}
	return ""
}

// Nearest is the known name with the smallest edit distance to what was written, or nothing where none is within a
// third of its length.
func Nearest(written string, known []string) string {
	best, bestDistance := "", 1+max(1, len(written)/3)
	for _, name := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(name)); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
