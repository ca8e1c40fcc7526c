// Command manpages writes a man page for each command of statvent into a directory,
// from what --help prints.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/statvent/statvent/cmd"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: manpages DIR")
	}
	root := cmd.Root()
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		if c.Hidden {
			continue
		}
		file := filepath.Join(args[0], pageName(c)+".1")
		if err := os.WriteFile(file, []byte(page(c)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pageName returns what man finds the page by.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page returns a man page. It has no date: the same source makes the same page.
func page(c *cobra.Command) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.\" Written by 'make man' from the help of the command.`)
	line(`.TH "%s" "1" "" "statvent" "User Commands"`, strings.ToUpper(escape(pageName(c))))
	line(".SH NAME")
	line(`%s \- %s`, escape(pageName(c)), escape(lowerFirst(c.Short)))
	line(".SH SYNOPSIS")
	line(`\fB%s\fR %s`, escape(c.CommandPath()), escape(strings.TrimPrefix(cmd.UseLine(c), c.CommandPath()+" ")))
	description, codes := cutExitCodes(c.Long)
	line(".SH DESCRIPTION")
	b.WriteString(paragraphs(description))
	if !c.HasParent() {
		line(".SH COMMANDS")
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				line(".TP\n\\fB%s\\fR(1)\n%s.", escape(pageName(sub)), escape(sub.Short))
			}
		}
	}
	line(".SH OPTIONS")
	b.WriteString(options(c.LocalFlags()))
	if c.HasParent() {
		line(".SS Options of all commands")
		b.WriteString(options(c.InheritedFlags()))
	}
	if codes != "" {
		line(".SH EXIT STATUS")
		b.WriteString(paragraphs(codes))
	}
	line(".SH EXAMPLES")
	b.WriteString(literal(c.Example))
	line(".SH SEE ALSO")
	var others []string
	for _, other := range append([]*cobra.Command{c.Root()}, c.Root().Commands()...) {
		if !other.Hidden && other != c {
			others = append(others, fmt.Sprintf(`\fB%s\fR(1)`, escape(pageName(other))))
		}
	}
	line("%s", strings.Join(others, ",\n"))
	return b.String()
}

// cutExitCodes takes the paragraph about them out of a description.
func cutExitCodes(long string) (description, codes string) {
	var rest []string
	for paragraph := range strings.SplitSeq(long, "\n\n") {
		if text, ok := strings.CutPrefix(paragraph, "Exit codes: "); ok {
			codes = text
			continue
		}
		rest = append(rest, paragraph)
	}
	return strings.Join(rest, "\n\n"), codes
}

func options(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(flag)
		b.WriteString(".TP\n")
		if flag.Shorthand != "" {
			fmt.Fprintf(&b, `\fB\-%s\fR, `, escape(flag.Shorthand))
		}
		fmt.Fprintf(&b, `\fB\-\-%s\fR`, escape(flag.Name))
		if value != "" {
			fmt.Fprintf(&b, `=\fI%s\fR`, escape(value))
		}
		b.WriteString("\n" + escape(usage))
		switch flag.DefValue {
		case "", "[]", "false", "0":
		default:
			fmt.Fprintf(&b, " (default: %s)", escape(strings.Trim(flag.DefValue, "[]")))
		}
		b.WriteString("\n")
	})
	return b.String()
}

// paragraphs returns text as paragraphs, and what is indented in it as it is.
func paragraphs(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if b.Len() > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, "  ") {
			b.WriteString(literal(paragraph))
			continue
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			b.WriteString(escape(line) + "\n")
		}
	}
	return b.String()
}

// literal returns lines as they are.
func literal(text string) string {
	var b strings.Builder
	b.WriteString(".RS 4\n.nf\n")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		b.WriteString(escape(strings.TrimPrefix(line, "  ")) + "\n")
	}
	b.WriteString(".fi\n.RE\n")
	return b.String()
}

// escape keeps roff from reading text as requests, and from making typography of
// what somebody may copy.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		return `\&` + text
	}
	return text
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
