//go:build !unix

package emit

import "os"

var passedOn = []os.Signal{os.Interrupt}

func sentByTerminal(os.Signal) bool { return true }

// EndAtPause does nothing here.
func EndAtPause(*os.File) {}

// HasMore can't tell here.
func HasMore(*os.File) bool { return false }
