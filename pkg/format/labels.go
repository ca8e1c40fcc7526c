package format

import "slices"

// A labelSet is labels in the order in which they came, each name once, and no more
// of them than a distribution may have. The zero labelSet is empty.
type labelSet struct {
	list  []Label
	names map[string]struct{} // of those in list, once they are more than a few
}

// fewLabels are searched sooner than looked up.
const fewLabels = 16

// add adds a label unless there is one of its name, and says false if there is no
// room for it.
func (s *labelSet) add(label Label) bool {
	if s.has(label.Name) {
		return true
	}
	if len(s.list) >= maxLabels {
		return false
	}
	s.list = append(s.list, label)
	switch {
	case s.names != nil:
		s.names[label.Name] = struct{}{}
	case len(s.list) > fewLabels:
		s.names = make(map[string]struct{}, 4*fewLabels)
		for _, l := range s.list {
			s.names[l.Name] = struct{}{}
		}
	}
	return true
}

func (s *labelSet) has(name string) bool {
	if s.names != nil {
		_, ok := s.names[name]
		return ok
	}
	return slices.ContainsFunc(s.list, func(l Label) bool { return l.Name == name })
}

// addAll adds labels and returns for how many there was no room. Those of several
// processes are mostly the same in the same order, and aren't looked up then.
func (s *labelSet) addAll(labels []Label) (tooMany int) {
	if s.list == nil {
		s.list = slices.Grow(s.list, min(len(labels), maxLabels))
	}
	for i, label := range labels {
		if i < len(s.list) && s.list[i].Name == label.Name {
			continue
		}
		if !s.add(label) {
			tooMany++
		}
	}
	return tooMany
}
