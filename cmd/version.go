package cmd

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/output"
)

func newVersion(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what it was built from and for",
		Long: `version prints the version in one line. Its JSON has the revision of the repository
as well, where that is known.`,
		Example: `  statvent version
  statvent version -o json | jq -r .version`,
		Args: arguments(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.CheckFormat(format, output.VersionFormats()); err != nil {
				return usage(cmd, err)
			}
			return a.streams.PrintVersion(format, build())
		},
	}
	outputFlag(cmd, &format, "plain", output.VersionFormats())
	return cmd
}

// version returns the version that the binary was built from.
func version() string { return build().Version }

// build returns what the binary was built from and for.
func build() output.Version {
	v := output.Version{
		Version: stamped, Revision: revision, Time: revised, Modified: strings.HasSuffix(stamped, "+dirty"),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
