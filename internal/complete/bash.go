package complete

import (
	"os"
	"strings"
)

// A BashLine is a command line of bash up to the cursor. Nothing of it is run to
// find out what it says.
type BashLine struct {
	Words []string // what bash makes of the words before the one at the cursor
	Word  string   // and of that one, as far as it is typed

	quote byte // that is open at the cursor: ', ", $ for $', or 0
	kept  int  // bytes of Word that readline leaves as they are
}

// ParseBash reads a line. Readline replaces what follows the quote that is open at
// the cursor, else the last of the unquoted characters that break words, which is
// what $COMP_WORDBREAKS has. It returns false where only bash knows what the words
// are, and where the one at the cursor is a file to redirect to.
func ParseBash(line, breaks string) (*BashLine, bool) {
	l := new(BashLine)
	var word []byte
	inWord, redirected := false, false
	finish := func() {
		if inWord && !redirected {
			l.Words = append(l.Words, string(word))
		}
		if inWord {
			redirected = false
		}
		word, inWord, l.kept = word[:0], false, 0
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch c {
		case ' ', '\t', '\n':
			finish()
			continue
		case '<', '>':
			if strings.Trim(string(word), "0123456789") == "" {
				inWord = false // 2>FILE
			}
			finish()
			redirected = true
			continue
		case '&':
			if redirected {
				continue // 2>&1
			}
			return nil, false
		case ';', '|', '(', ')', '`':
			return nil, false
		case '#':
			if !inWord {
				return nil, false
			}
		}
		inWord = true
		switch {
		case c == '\\':
			if i++; i < len(line) {
				word = append(word, line[i])
			}
		case c == '\'' || c == '"' || c == '$' && i+1 < len(line) && line[i+1] == '\'':
			if c == '$' {
				i++
			}
			text, next, ok := quoted(line, i+1, c)
			if !ok {
				return nil, false
			}
			if next > len(line) {
				l.quote, l.kept = c, len(word)
			}
			word = append(word, text...)
			i = next - 1
		case c == '$':
			text, next, ok := variable(line, i+1)
			if !ok {
				return nil, false
			}
			word = append(word, text...)
			i = next - 1
		case c == '~' && len(word) == 0 && (i+1 == len(line) || line[i+1] == '/'):
			word = append(word, os.Getenv("HOME")...)
		default:
			word = append(word, c)
			if strings.IndexByte(breaks, c) >= 0 {
				l.kept = len(word)
			}
		}
	}
	l.Word = string(word)
	return l, !redirected
}

// quoted returns the text behind an opening quote and where it goes on behind the
// closing one, which is beyond the line if there is none.
func quoted(line string, i int, quote byte) (text []byte, next int, ok bool) {
	closing := quote
	if quote == '$' {
		closing = '\''
	}
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case c == closing:
			return text, i + 1, true
		case quote == '"' && c == '`':
			return nil, 0, false
		case quote == '"' && c == '$':
			value, next, ok := variable(line, i+1)
			if !ok {
				return nil, 0, false
			}
			text = append(text, value...)
			i = next - 1
		case quote != '\'' && c == '\\' && i+1 < len(line):
			i++
			if quote == '"' && strings.IndexByte("$`\"\\", line[i]) < 0 || quote == '$' && strings.IndexByte(`'"\?`, line[i]) < 0 {
				text = append(text, '\\')
			}
			text = append(text, line[i])
		default:
			text = append(text, c)
		}
	}
	return text, len(line) + 1, true
}

// variable returns the value of an environment variable whose name stands behind a
// dollar sign, $NAME or ${NAME}, and where it goes on behind that. It returns false
// for one that isn't in the environment, and for all else that begins so.
func variable(line string, i int) (value string, next int, ok bool) {
	name := line[i:]
	braces := strings.HasPrefix(name, "{")
	if braces {
		name = name[1:]
	}
	end := 0
	for end < len(name) && (name[end] == '_' || isLetter(name[end]) || end > 0 && isDigit(name[end])) {
		end++
	}
	if end == 0 || braces && !strings.HasPrefix(name[end:], "}") {
		return "", 0, false
	}
	next = i + end
	if braces {
		next += 2
	}
	value, ok = os.LookupEnv(name[:end])
	return value, next, ok
}

// Replacement returns what readline is to put in place of what it replaces, so that
// the word becomes text. It returns false if that doesn't begin with the word.
func (l *BashLine) Replacement(text string) (string, bool) {
	if !strings.HasPrefix(text, l.Word) {
		return "", false
	}
	var b strings.Builder
	for i := l.kept; i < len(text); i++ {
		c := text[i]
		switch l.quote {
		case '\'':
			if c == '\'' {
				b.WriteString(`'\'`)
			}
		case '"':
			if c == '!' { // of the history, also behind a backslash
				b.WriteString(`"'!'"`)
				continue
			}
			if strings.IndexByte("$`\"\\", c) >= 0 {
				b.WriteByte('\\')
			}
		case '$':
			if c == '\'' || c == '\\' {
				b.WriteByte('\\')
			}
		default:
			if !isLetter(c) && !isDigit(c) && c < 0x80 && strings.IndexByte("_./:=@%+,-", c) < 0 {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
