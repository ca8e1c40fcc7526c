// Emptytool is the least that a tool of cobra and viper can be: five commands
// that do nothing, and a small configuration file. What it takes to start is what
// `statvent emit` is compared with.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

func main() {
	root := &cobra.Command{
		Use: "emptytool",
		PersistentPreRunE: func(*cobra.Command, []string) error {
			viper.SetConfigFile(os.Getenv("EMPTYTOOL_CONFIG"))
			return viper.ReadInConfig()
		},
	}
	for _, name := range []string{"one", "two", "three", "four", "five"} {
		root.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	if root.Execute() != nil {
		os.Exit(1)
	}
}
