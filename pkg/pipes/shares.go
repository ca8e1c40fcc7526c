package pipes

// Share is how many of so many places one may have who comes first: three quarters,
// so that whoever comes next finds some.
func Share(places int) int { return max(places, 0) - max(places, 0)/4 }

// shares say which user has how much of what all of them share. One may have a share of
// what the others don't have.
type shares struct {
	max int
	all int
	of  map[int]int // by user
}

func newShares(most int) shares { return shares{max: most, of: make(map[int]int)} }

func (s *shares) take(uid, n int) {
	s.all += n
	s.of[uid] += n
}

// hasRoom tells whether a user may have so much more.
func (s *shares) hasRoom(uid, more int) bool {
	mine := s.of[uid]
	return mine+more <= Share(s.max-(s.all-mine))
}
