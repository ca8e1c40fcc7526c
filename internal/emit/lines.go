package emit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/statvent/statvent/pkg/format"
)

// ReadLines calls each with every line of r as soon as it is complete, and bad
// with the number and the reason of one that each refuses or that is too long. A
// last line without its line break may have been cut and is bad; one without
// anything in it is nothing. It returns how many lines were good.
func ReadLines(r io.Reader, each func(line string) error, bad func(number int, err error)) (good int, err error) {
	in := bufio.NewReaderSize(r, format.DefaultMaxLine+1)
	for number := 1; ; number++ {
		line, err := readLine(in)
		switch {
		case err == nil && strings.TrimSpace(line) == "":
			continue
		case err == nil:
			err = each(line)
		case errors.Is(err, io.EOF) && line == "":
			return good, nil
		case errors.Is(err, io.EOF):
			bad(number, errors.New("it has no line break at its end, and may have been cut"))
			return good, nil
		case !errors.Is(err, errTooLong):
			return good, err
		}
		if err != nil {
			bad(number, err)
		} else {
			good++
		}
	}
}

var errTooLong = fmt.Errorf("it is longer than %d bytes", format.DefaultMaxLine)

// readLine returns a line without its line break; with io.EOF one that has none.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return strings.TrimSuffix(string(line), "\n"), err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return "", errTooLong
}
