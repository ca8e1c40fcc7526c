//go:build !unix

package screen

import (
	"context"

	"github.com/statvent/statvent/internal/watch"
)

// Run returns ErrNoScreen: only Unix has terminals.
func Run(context.Context, *watch.Model, *Look, Collect) error { return ErrNoScreen }
