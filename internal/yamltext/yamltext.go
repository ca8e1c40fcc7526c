// Package yamltext says what is wrong with a file of YAML to whoever has written it.
package yamltext

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error returns an error of the parser as one line, without the types of the program.
func Error(err error) error {
	several := new(yaml.TypeError)
	if !errors.As(err, &several) {
		return errors.New(oneLine(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	field := regexp.MustCompile(`^(line \d+: )field (.*) not found in type .+$`)
	value := regexp.MustCompile("(?s)^(line \\d+: )cannot unmarshal !!(\\w+)(?: `(.*)`)? into .+$")
	said := make([]string, 0, len(several.Errors))
	for _, text := range several.Errors {
		if m := field.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("%sunknown key %q", m[1], m[2])
		} else if m := value.FindStringSubmatch(text); m != nil {
			text = m[1] + what(m[2], m[3]) + " is not what is taken here"
		}
		said = append(said, oneLine(text))
	}
	return errors.New(strings.Join(said, "; "))
}

// what names a value by its tag and, if it is a scalar, by its text.
func what(tag, text string) string {
	switch tag {
	case "seq":
		return "a list"
	case "map":
		return "a map of keys"
	default:
		return fmt.Sprintf("%q", text)
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
