package config

// Nearest returns the name that a mistyped one was probably meant to be, or "" if none is near: more than a quarter of it
// would have to be typed again.
func Nearest(typed string, names []string) string {
	best, least := "", len(typed)/4+1
	for _, name := range names {
		if d := distance(typed, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters to insert, remove or replace to make one word of the other (Levenshtein). The row holds
// the distances of what is done of a to every beginning of b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
