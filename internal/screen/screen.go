// Package screen shows a watch.Model on a terminal, full screen, and gives the
// terminal back as it was, whatever happens.
//
// It writes the few sequences itself that every terminal knows: the libraries that
// do so make tables of terminals and of character sets when a program starts, which
// would make each `statvent emit` a seventh slower.
package screen

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/statvent/statvent/internal/watch"
)

// ErrNoScreen is the error of a terminal that can't be used for a full screen.
var ErrNoScreen = errors.New("the terminal has no full screen")

// Collect makes the next collection, with the stats of each source if they are wanted.
// It is called by one goroutine at a time.
type Collect func(ctx context.Context, eachSource bool) (*watch.Update, error)

// HasUTF8 tells whether the locale says that the terminal shows UTF-8.
func HasUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := os.Getenv(name); locale != "" {
			locale = strings.ToUpper(locale)
			return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
		}
	}
	return false
}
