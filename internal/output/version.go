package output

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// A Version says what a binary was built from and for.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the repository
	Time     string `json:"time,omitempty"`     // of the revision, as RFC 3339 has it
	Modified bool   `json:"modified,omitempty"` // files differed from the revision
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (v Version) String() string { return fmt.Sprintf("%s (%s, %s/%s)", v.Version, v.Go, v.OS, v.Arch) }

var versionFormats = map[string]func(io.Writer, Version) error{
	"plain": func(w io.Writer, v Version) error {
		_, err := fmt.Fprintf(w, "statvent %s\n", v)
		return err
	},
	"json": func(w io.Writer, v Version) error { return encodeJSON(w, v) },
}

// VersionFormats are the names of the formats that PrintVersion knows.
func VersionFormats() []string { return slices.Sorted(maps.Keys(versionFormats)) }

// PrintVersion prints a version to stdout in the format of that name.
func (s *Streams) PrintVersion(format string, v Version) error {
	return versionFormats[format](s.Out, v)
}
