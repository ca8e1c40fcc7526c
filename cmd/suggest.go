package cmd

import "strings"

// suggest returns which of the names may be meant by one that is none of them: those
// that begin with it, else those that are nearest, no more than two slips away.
func suggest(name string, names []string) []string {
	var begin, near []string
	least := 2
	for _, known := range names {
		if strings.HasPrefix(known, strings.ToLower(name)) {
			begin = append(begin, known)
		}
		switch d := slips(strings.ToLower(name), known); {
		case d >= len(known):
		case d < least:
			least, near = d, []string{known}
		case d == least:
			near = append(near, known)
		}
	}
	if len(begin) > 0 && name != "" {
		return begin
	}
	return near
}

// slips counts what makes b of a: letters that are wrong, missing, too many, or in
// the place of their neighbour.
func slips(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, above, twoAbove := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 0
			if a[i-1] != b[j-1] {
				wrong = 1
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], twoAbove[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
