package cmd

// What a build is that doesn't know it by itself: scripts/dist.sh sets these, since a build
// that reads the repository isn't the same where there is none.
var (
	stamped  = "devel" // the version, which ends in +dirty where files differ from the revision
	revision string
	revised  string // when the revision was made
)
