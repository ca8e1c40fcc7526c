package format

import "strconv"

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
	return parseOrdinaryFloat(value)
}

// parseOrdinaryFloat reads a float that has a point or an exponent, as Append
// writes it.
func parseOrdinaryFloat(s []byte) (Value, bool) {
	isFloat := false
	for _, c := range s {
		switch {
		case c == '.' || c == 'e':
			isFloat = true
		case c != '-' && c != '+' && (c < '0' || c > '9'):
			return Value{}, false
		}
	}
	f, err := 0.0, error(nil)
	if isFloat {
		f, err = strconv.ParseFloat(string(s), 64)
	}
	return Float(f), isFloat && err == nil
}

// at returns the stat of that index, nil if there is none.
func (s *Snapshot) at(i int) *Stat {
	if s == nil || i >= len(s.Stats) {
		return nil
	}
	return &s.Stats[i]
}
