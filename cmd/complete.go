package cmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/complete"
	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/pipes"
)

// completionTime is how long whoever has pressed TAB waits for the names of what is
// published. What is not known then is not offered.
const completionTime = 150 * time.Millisecond

// bashRequest is the command of completions/statvent.bash.
const bashRequest = "__completeBash"

func isCompletion(command string) bool {
	return slices.Contains([]string{cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd, bashRequest}, command)
}

// addCompletion adds to commands and options what their values may be.
func (a *app) addCompletion(root *cobra.Command) {
	a.started = time.Now()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "cat":
			cmd.ValidArgsFunction = a.completing(cobra.ShellCompDirectiveDefault, complete.Sources)
			_ = cmd.RegisterFlagCompletionFunc("assert", a.completeExpectation)
		case "watch":
			cmd.ValidArgsFunction = a.completing(cobra.ShellCompDirectiveNoFileComp, complete.Globs)
		case "emit":
			cmd.ValidArgsFunction = a.completeEmit
		case "completion":
		default:
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		for flag, values := range map[string][]string{
			"color":      {"auto", "always", "never"},
			"log-level":  {"debug", "info", "warn", "error"},
			"log-format": {"text", "json"},
		} {
			_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
		for _, flag := range []string{"pipe-dir", "state-dir"} {
			_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
		}
		_ = cmd.RegisterFlagCompletionFunc("owner", a.completing(cobra.ShellCompDirectiveNoFileComp, complete.Users))
	}
	root.AddCommand(&cobra.Command{
		Use:                bashRequest,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 3 {
				return usage(root, fmt.Errorf("%s takes a line, $COMP_WORDBREAKS and $COMP_TYPE", bashRequest))
			}
			return a.completeBash(cmd.Context(), args[0], args[1], args[2] == "63")
		},
	})
}

// completing returns what offers those that find has found.
func (a *app) completing(files cobra.ShellCompDirective, find func(*pipes.Collection) []complete.Candidate) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		return offer(files, a.candidates(cmd, find), word, args...)
	}
}

// completeExpectation offers the names of stats, and what may follow.
func (a *app) completeExpectation(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	found, _ := complete.Expectations(a.candidates(cmd, complete.Stats), word)
	return described(found), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeEmit offers what scripts have left, to be counted on or deleted.
func (a *app) completeEmit(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	remove, _ := cmd.Flags().GetBool("delete")
	timing, _ := cmd.Flags().GetBool("time")
	switch {
	case len(args) > 0 && timing:
		return nil, cobra.ShellCompDirectiveDefault // a command
	case len(args) > 0 && !remove:
		return nil, cobra.ShellCompDirectiveNoFileComp // a value
	}
	return offer(cobra.ShellCompDirectiveNoFileComp, a.candidates(cmd, complete.Emitted), word, args...)
}

// offer returns which of the candidates the word may become.
func offer(files cobra.ShellCompDirective, candidates []complete.Candidate, word string, given ...string) ([]string, cobra.ShellCompDirective) {
	found, more := complete.Narrow(candidates, word, given...)
	if more {
		files |= cobra.ShellCompDirectiveNoSpace
	}
	return described(found), files
}

// described returns candidates as cobra has them.
func described(candidates []complete.Candidate) []string {
	var found []string
	for _, c := range candidates {
		if c.Note != "" {
			c.Text = cobra.CompletionWithDesc(c.Text, output.Escape(c.Note))
		}
		found = append(found, c.Text)
	}
	return found
}

// candidates returns what find finds in what is published, and nothing where that
// can't be told in time.
func (a *app) candidates(cmd *cobra.Command, find func(*pipes.Collection) []complete.Candidate) []complete.Candidate {
	ctx, cancel := context.WithDeadline(cmd.Context(), a.started.Add(completionTime))
	defer cancel()
	c, err := config.Load(cmd.Flags(), a.configFile)
	if err != nil {
		return nil
	}
	opts, err := collectorOptions(c)
	if err != nil {
		return nil
	}
	opts.Deadline = time.Until(a.started.Add(completionTime * 2 / 3)) // the others are offered
	return complete.Live(ctx, opts, find)
}

// completeBash prints what bash needs: on the first line what to do beside, then what
// to put in place of the word that is completed, one a line. Listed is whether they
// are shown only.
func (a *app) completeBash(ctx context.Context, line, breaks string, listed bool) error {
	parsed, ok := complete.ParseBash(line, breaks)
	if !ok || len(parsed.Words) == 0 {
		_, err := fmt.Fprintln(a.streams.Out, "files")
		return err
	}
	candidates, directive := a.request(ctx, append(parsed.Words[1:], parsed.Word))
	prefix := "" // --output= of --output=json, which isn't part of what is offered
	if name, _, ok := strings.Cut(parsed.Word, "="); ok && strings.HasPrefix(name, "-") {
		prefix = name + "="
	}
	var replacements bytes.Buffer
	shown := 0
	for _, c := range candidates {
		replacement, ok := parsed.Replacement(prefix + c.Text)
		if !ok {
			continue
		}
		shown++
		replacements.WriteString(replacement)
		if listed && c.Note != "" {
			replacements.WriteString("  (" + c.Note + ")")
		}
		replacements.WriteByte('\n')
	}
	what := "none"
	switch {
	case directive&cobra.ShellCompDirectiveFilterDirs != 0:
		what = "dirs"
	case shown > 0 && directive&cobra.ShellCompDirectiveNoSpace != 0:
		what = "nospace"
	case shown == 0 && directive&cobra.ShellCompDirectiveNoFileComp == 0:
		what = "files"
	}
	_, err := fmt.Fprintf(a.streams.Out, "%s\n%s", what, replacements.Bytes())
	return err
}

// request asks cobra what the last of these words may become.
func (a *app) request(ctx context.Context, words []string) ([]complete.Candidate, cobra.ShellCompDirective) {
	var out, said bytes.Buffer
	streams := &output.Streams{In: a.streams.In, Out: &out, Err: &said}
	if run(ctx, streams, append([]string{cobra.ShellCompRequestCmd}, words...)) != exitDone {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var candidates []complete.Candidate
	directive := cobra.ShellCompDirectiveDefault
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, out.Len()+1)
	for lines.Scan() {
		text, note, _ := strings.Cut(lines.Text(), "\t")
		if number, ok := strings.CutPrefix(text, ":"); ok {
			if n, err := strconv.Atoi(number); err == nil {
				directive = cobra.ShellCompDirective(n)
				continue
			}
		}
		candidates = append(candidates, complete.Candidate{Text: text, Note: note})
	}
	return candidates, directive
}
