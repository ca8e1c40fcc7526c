//go:build !unix

package output

import "io"

// terminalHeight is unknown.
func terminalHeight(io.Writer) int { return 0 }
