package yamltext

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type file struct {
	Names []string `yaml:"names"`
	TLS   struct {
		Port int `yaml:"port"`
	} `yaml:"tls"`
}

func TestErrorsAreForWhoWroteTheFile(t *testing.T) {
	is := func(text, want string) {
		t.Helper()
		decoder := yaml.NewDecoder(strings.NewReader(text))
		decoder.KnownFields(true)
		err := decoder.Decode(new(file))
		if err == nil || Error(err).Error() != want {
			t.Errorf("%q: got %q, want %q", text, Error(err), want)
		}
	}
	is("foo: 1\n", `line 1: unknown key "foo"`)
	is("foo: 1\ntls:\n  port: x\n  cert: y\n", `line 1: unknown key "foo"; line 3: "x" is not what is taken here; line 4: unknown key "cert"`)
	is("tls: x\n", `line 1: "x" is not what is taken here`)
	is("tls: [x]\n", `line 1: a list is not what is taken here`)
	is("names:\n  a: b\n", `line 2: a map of keys is not what is taken here`)
	is("names: [\n", "line 1: did not find expected node content")
	is("foo: 1\nfoo: 2\n", `line 2: mapping key "foo" already defined at line 1`)
}
