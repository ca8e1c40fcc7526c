package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/pipes"
)

// explain adds to an error of the pipe directory what can be done about it.
func explain(err error, dir string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return output.WithHint(fmt.Errorf("the pipe directory %s does not exist", dir),
			"it is made by the first program that publishes; 'statvent list' says where to look")
	case errors.Is(err, pipes.ErrSymlink):
		return output.WithHint(fmt.Errorf("the pipe directory %s %w", dir, pipes.ErrSymlink),
			"use --pipe-dir to name the directory itself, if you trust it")
	case errors.Is(err, fs.ErrPermission):
		return output.WithHint(fmt.Errorf("the pipe directory can't be read: %w", err),
			"run statvent as root, as its owner or in its group; or, if every user may publish and read there, chmod 1777 "+dir)
	case isNotDir(err):
		return output.WithHint(fmt.Errorf("the pipe directory %s is not a directory", dir),
			"use --pipe-dir to name another")
	default:
		return err
	}
}

func isNotDir(err error) bool {
	pathErr := new(fs.PathError)
	if !errors.As(err, &pathErr) {
		return false
	}
	info, statErr := os.Lstat(pathErr.Path)
	return statErr == nil && !info.IsDir()
}
