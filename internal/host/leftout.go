package host

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// LeftOutText says how many sources of whom are left out, those of most users in
// words; empty if none is.
func (r *Report) LeftOutText() string {
	const most = 3
	sources, users := 0, slices.Clone(r.LeftOut)
	slices.SortStableFunc(users, func(a, b LeftOut) int { return cmp.Compare(b.Sources, a.Sources) })
	var said []string
	for i, l := range users {
		sources += l.Sources
		if i < most {
			said = append(said, fmt.Sprintf("%d of %s", l.Sources, l.User))
		}
	}
	if len(said) == 0 {
		return ""
	}
	said[0] = count(users[0].Sources, "source") + " of " + users[0].User
	if more := len(users) - most; more > 0 {
		for _, l := range users[:most] {
			sources -= l.Sources
		}
		said = append(said, fmt.Sprintf("%d of %s", sources, count(more, "other")))
	}
	text := strings.Join(said[:len(said)-1], ", ")
	if text != "" {
		text += " and "
	}
	text += said[len(said)-1]
	if len(users) == 1 && users[0].Sources == 1 {
		return text + " is left out: owner names others"
	}
	return text + " are left out: owner names others"
}
