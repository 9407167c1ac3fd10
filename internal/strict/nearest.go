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

// distance is the number of bytes to change, add, leave out or swap with their neighbour (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+1)
			if a[i] == b[j] {
				row[j+1] = last[j]
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
