// Package complete finds what a word of the command line may become: the names of
// what is published at that moment.
//
// A name with a character that a terminal would follow, or can't show, is none of
// them: whoever wants it must type it.
package complete

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/pipes"
)

// A Candidate is what a word may become.
type Candidate struct {
	Text string
	Note string // for the reader; may be empty
}

// many is how many names are offered one by one.
const many = 200

// Sources returns the pids of all processes that publish, and the names of sources
// that are called otherwise.
func Sources(c *pipes.Collection) []Candidate {
	var found []Candidate
	for _, s := range host.Describe(c, c.Total()).Sources {
		if s.Kind == pipes.RetainedSource {
			continue // which isn't read alone
		}
		note := s.User
		if s.Command != "" {
			note += ": " + s.Command
		}
		if s.State != pipes.Live {
			note += " (" + string(s.State) + ")"
		}
		found = append(found, Candidate{s.Name, note})
		if pid := strconv.Itoa(s.PID); s.PID != 0 && pid != s.Name {
			found = append(found, Candidate{pid, s.Name + ", " + note})
		}
	}
	return found
}

// Users returns the users who have sources, whether these count or not.
func Users(c *pipes.Collection) []Candidate {
	report := host.Describe(c, c.Total())
	sources := make(map[string]int)
	for _, s := range report.Sources {
		sources[s.User]++
	}
	for _, l := range report.LeftOut {
		sources[l.User] += l.Sources
	}
	var found []Candidate
	for user, n := range sources {
		note := "1 source"
		if n > 1 {
			note = fmt.Sprintf("%d sources", n)
		}
		found = append(found, Candidate{user, note})
	}
	return found
}

// Stats returns the names of all stats, as cat prints them.
func Stats(c *pipes.Collection) []Candidate {
	var found []Candidate
	for _, stat := range c.Total().Flatten().Stats {
		found = append(found, Candidate{Text: stat.Name})
	}
	return found
}

// Globs returns patterns: one for each stat, which is its name unless that means
// something else, and one for those that begin with the same words before a point.
func Globs(c *pipes.Collection) []Candidate {
	found := Stats(c)
	groups := make(map[string]int) // text up to a point -> stats that begin so
	for i, candidate := range found {
		name := candidate.Text
		for at := 0; ; {
			n := strings.IndexByte(name[at:], '.')
			if n < 0 {
				break
			}
			at += n + 1
			groups[name[:at]]++
		}
		if !strings.ContainsAny(name, special) {
			continue
		}
		if match, err := glob.Compile(name); err != nil || !match(name) {
			found[i].Text = literal(name)
		}
	}
	for beginning, n := range groups {
		if n > 1 {
			found = append(found, Candidate{literal(beginning) + "*", fmt.Sprintf("%d stats", n)})
		}
	}
	return found
}

// special are the characters that mean something in a pattern.
const special = `*?[\`

// literal returns a pattern that matches the text alone.
func literal(text string) string {
	if !strings.ContainsAny(text, special) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(special, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Emitted returns the names of what the scripts of this process's user have left.
func Emitted(c *pipes.Collection) []Candidate {
	var found []Candidate
	for _, s := range c.Sources {
		if s.UID != os.Geteuid() {
			continue
		}
		for name := range s.Emitted {
			found = append(found, Candidate{Text: name})
		}
	}
	return found
}

// Narrow returns the candidates that begin with the word, in their order, without
// those that were given already. Where there are many, those that go on with the
// same letters up to a point become one, and more is true: what is chosen is not
// all there is to type.
func Narrow(candidates []Candidate, word string, given ...string) (found []Candidate, more bool) {
	for _, c := range candidates {
		if strings.HasPrefix(c.Text, word) && !slices.Contains(given, c.Text) && isShown(c.Text) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b Candidate) int { return strings.Compare(a.Text, b.Text) })
	found = slices.CompactFunc(found, func(a, b Candidate) bool { return a.Text == b.Text })
	if len(found) <= many {
		return found, false
	}
	for i, c := range found {
		if point := strings.IndexByte(c.Text[len(word):], '.'); point >= 0 {
			found[i] = Candidate{Text: c.Text[:len(word)+point+1]}
			more = true
		}
	}
	return slices.Compact(found), more
}

// isShown tells whether a terminal shows the text and does nothing else with it.
func isShown(text string) bool {
	return text != "" && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Expectations returns what an expectation of a stat may begin with: names, and what
// may follow the name that the word is, or the only one that it may become.
func Expectations(stats []Candidate, word string) (found []Candidate, more bool) {
	name := strings.TrimRight(word, " ")
	exact := slices.ContainsFunc(stats, func(c Candidate) bool { return c.Text == name })
	found, more = Narrow(stats, word, name)
	if !exact && len(found) == 1 && !more {
		name, exact, found = found[0].Text, true, nil
	}
	if exact {
		for _, operator := range []string{"<", "<=", "==", "!=", ">=", ">"} {
			found = append(found, Candidate{Text: name + " " + operator})
		}
	}
	return found, more
}

// Live returns what find finds in the sources as they are, and nothing where they
// can't be read or that takes longer than ctx allows.
func Live(ctx context.Context, opts pipes.CollectorOptions, find func(*pipes.Collection) []Candidate) []Candidate {
	found := make(chan []Candidate, 1)
	go func() {
		// It isn't closed, since that waits: the process is about to end.
		collection, err := pipes.NewCollector(opts).Collect(ctx)
		if err != nil {
			found <- nil
			return
		}
		found <- find(collection)
	}()
	select {
	case candidates := <-found:
		return candidates
	case <-ctx.Done():
		return nil
	}
}
