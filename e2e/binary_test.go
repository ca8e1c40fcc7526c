//go:build linux

package e2e

import (
	"debug/elf"
	"slices"
	"testing"
)

// What looks methods up by name, as templates do, makes the linker keep every
// method of everything: cobra uses templates only if it is told to. The binary
// was half as large again, and each `emit` started later for it.
func TestBinaryLooksUpNoMethods(t *testing.T) {
	t.Parallel()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
	}
	if !has("reflect.Value.Field") {
		t.Error("the binary has no reflect.Value.Field: its symbols aren't those of Go's reflection")
	}
	for _, name := range []string{"reflect.Value.Method", "reflect.Value.MethodByName"} {
		if has(name) {
			t.Errorf("the binary has %s: go build -ldflags=-dumpdep marks with <ReflectMethod> what uses it", name)
		}
	}
}
