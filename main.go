// Command statvent reads the stats that the programs of a host publish at
// named pipes, adds them up, and serves or prints the sum.
package main

import (
	"os"

	"github.com/statvent/statvent/cmd"
)

func main() {
	os.Exit(cmd.Main())
}
