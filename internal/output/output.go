// Package output is how statvent speaks. These are the rules:
//
//   - Data goes to stdout, everything else to stderr. What somebody has asked for is
//     data, also if that is what is not as expected (cat --assert).
//   - What a person reads is a table, or a line that begins with "statvent: ". A line
//     that begins with "hint: " says what to do about the one above it.
//   - An error is one line, said once, and decides about the exit code: 0 done,
//     1 failed, 2 wrong usage, 3 done in part.
//   - What programs publish, names above all, is escaped wherever a person sees it,
//     and so is all that goes to a terminal. Elsewhere it is raw: in plain, typed,
//     prometheus and JSON. Only the fields that tabs separate, those of list -o plain
//     and config -o plain, are escaped too, so that none of them ends its line.
//   - A format has the same name everywhere: table for people, plain for a line a
//     thing, json for programs. JSON is one line, and keeps its fields.
//   - Colour means something or isn't there, and each stream has it or not by itself:
//     --color says so, else it is a terminal, TERM is set and not dumb, and NO_COLOR
//     isn't set.
//   - Where nobody reads stdout any more there is nothing to say.
package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"github.com/fatih/color"
	"github.com/mattn/go-isatty"
)

// Streams are what a command reads from and writes to.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	outColor, errColor bool
}

// System returns the streams of the process.
func System() *Streams {
	return &Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
}

// SetColor decides about colour: always, never, or auto, which is where a
// stream is a terminal that TERM calls neither dumb nor nothing at all, and NO_COLOR
// isn't set.
func (s *Streams) SetColor(when string) {
	wanted := func(w io.Writer) bool {
		return when == "always" ||
			when == "auto" && isTerminal(w) && os.Getenv("NO_COLOR") == "" && hasColors(os.Getenv("TERM"))
	}
	s.outColor, s.errColor = wanted(s.Out), wanted(s.Err)
}

// hasColors tells whether a terminal of that type has colours. Windows has no types.
func hasColors(term string) bool {
	return term != "dumb" && (term != "" || runtime.GOOS == "windows")
}

// isTerminal tells whether w writes to a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// paint returns the text in that colour, if the stream has colours.
func paint(enabled bool, text string, attributes ...color.Attribute) string {
	c := color.New(attributes...)
	if enabled {
		c.EnableColor()
	} else {
		c.DisableColor()
	}
	return c.Sprint(text)
}

// PrintLine prints a line for a person to stdout.
func (s *Streams) PrintLine(text string) error {
	_, err := fmt.Fprintln(s.Out, Escape(text))
	return err
}

// Warn writes a line about something that went wrong on the way.
func (s *Streams) Warn(format string, args ...any) {
	fmt.Fprintln(s.Err, paint(s.errColor, "statvent:", color.FgYellow), Escape(fmt.Sprintf(format, args...)))
}

// Hint writes a line that says what to do.
func (s *Streams) Hint(text string) {
	fmt.Fprintln(s.Err, paint(s.errColor, "hint:", color.FgCyan), Escape(text))
}

// Error writes the error that ended the command, and its hint if it has one.
func (s *Streams) Error(err error) {
	fmt.Fprintln(s.Err, paint(s.errColor, "statvent:", color.FgRed), Escape(err.Error()))
	if hint := HintOf(err); hint != "" {
		s.Hint(hint)
	}
}

// IsClosed tells whether an error is that nobody reads stdout any more, which is
// nothing to say: head has what it wants. Where SIGPIPE isn't ignored, it ends the
// process before anybody can ask.
func IsClosed(err error) bool {
	write := new(fs.PathError)
	return errors.As(err, &write) && write.Path == os.Stdout.Name() && errors.Is(err, syscall.EPIPE)
}

// WithHint adds to an error what its reader can do about it.
func WithHint(err error, hint string) error { return &hintedError{err, hint} }

// HintOf returns the hint of an error, "" if it has none.
func HintOf(err error) string {
	if hinted := new(hintedError); errors.As(err, &hinted) {
		return hinted.hint
	}
	return ""
}

type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }
