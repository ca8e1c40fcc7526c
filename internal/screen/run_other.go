//go:build !unix

package screen

import (
	"context"

	"github.com/statvent/statvent/internal/watch"
)

// Run returns ErrNoScreen: the terminals of others are no Unix terminals.
func Run(context.Context, *watch.Model, *Look, Collect) error { return ErrNoScreen }
