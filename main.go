// Command statvent reads the stats that the programs of a host publish at
// named pipes, brings them together, and serves or prints them.
package main

import (
	"os"

	"github.com/statvent/statvent/cmd"
)

func main() {
	os.Exit(cmd.Main())
}
