package format

// valueAgain returns the value of a line "LEFT: VALUE" whose left side is known. It
// says false of a line that is anything else, or written in another way.
//
// A source sends the same names each time. Of a line that is as expected only the
// value has to be read, and its name is not made once more.
func valueAgain(line []byte, keyword, name string) (Value, bool) {
	if keyword != "" {
		n := len(keyword)
		if len(line) <= n || string(line[:n]) != keyword || line[n] != ' ' {
			return Value{}, false
		}
		line = line[n+1:]
	}
	n := len(name)
	if len(line) < n+len(": 0") || string(line[:n]) != name || line[n] != ':' || line[n+1] != ' ' {
		return Value{}, false
	}
	value := line[n+2:]
	if v, ok := parseShortInt(value); ok {
		return v, true
	}
	return parseShortFloat(value)
}

// at returns the stat of that index, nil if there is none.
func (s *Snapshot) at(i int) *Stat {
	if s == nil || i >= len(s.Stats) {
		return nil
	}
	return &s.Stats[i]
}

// nameAgain returns a name as a string: as that of the stat of that index if it is the
// same.
func (s *Snapshot) nameAgain(i int, name []byte) string {
	if expected := s.at(i); expected != nil && expected.Name == string(name) {
		return expected.Name
	}
	return string(name)
}
