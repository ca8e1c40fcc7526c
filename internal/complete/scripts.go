package complete

import _ "embed" // of the scripts

// The scripts that make a shell ask statvent what a word may become. They are written
// for names with blanks and quotes, and so that nothing of the line is run to complete
// it; those of cobra do that.
var (
	//go:embed scripts/statvent.bash
	Bash string
	//go:embed scripts/_statvent
	Zsh string
	//go:embed scripts/statvent.fish
	Fish string
)
