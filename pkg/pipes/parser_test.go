package pipes

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/statvent/statvent/pkg/format"
)

func typedOf(id string, n int64) string {
	return string(format.AppendTyped(nil, &format.Document{ID: id, Snapshot: snapshotOf("x", n)}))
}

// parse writes a text to a parser, at once or byte by byte.
func parse(f textFormat, text string, limits Limits, byByte bool) (*format.Document, error) {
	p := newParser(f, limits.withDefaults(), nil)
	var r io.Reader = strings.NewReader(text)
	if byByte {
		r = iotest.OneByteReader(r)
	}
	if _, err := io.Copy(p, r); err != nil {
		return nil, err
	}
	return p.end()
}

func TestTextIsReadInTheFormatItBeginsWith(t *testing.T) {
	check := func(f textFormat, text, want string, wantErr error) {
		t.Helper()
		for _, byByte := range []bool{false, true} {
			doc, err := parse(f, text, Limits{}, byByte)
			got := ""
			if err == nil {
				got = string(format.AppendPlain(nil, doc.Snapshot))
			}
			if got != want || !errors.Is(err, wantErr) {
				t.Errorf("%.40q (byte by byte: %v) is %q, %v; want %q, %v", text, byByte, got, err, want, wantErr)
			}
		}
	}
	whole := typedOf(someID, 7)
	plain := strings.ReplaceAll(whole, "statvent", "other")
	for _, f := range []textFormat{anyText, typedText} {
		check(f, whole, "x: 7\n", nil)
		check(f, whole[:len(whole)-1], "", format.ErrTorn)
		check(f, whole[:len(whole)/2], "", format.ErrTorn)
		check(f, strings.Replace(whole, ": 1", ": 2", 1), "", format.ErrVersion)
	}
	check(anyText, "x: 1\ny: 2\n", "x: 1\ny: 2\n", nil)
	check(anyText, "", "", nil)
	check(anyText, "x: 1", "", nil)
	check(anyText, "\n", "", nil)
	check(anyText, strings.Repeat("x", 100<<10)+"\ny: 2\n", "y: 2\n", nil)
	check(plainText, "statvent: 1\n", "statvent: 1\n", nil)
	check(typedText, "x: 1\n", "", format.ErrVersion)
	check(typedText, "", "", format.ErrTorn)
	check(typedText, plain, "", format.ErrVersion)

	for _, f := range []textFormat{anyText, typedText} {
		if doc, err := parse(f, whole+whole, Limits{}, false); err == nil || !strings.Contains(err.Error(), "2 snapshots") {
			t.Errorf("two in one are %+v, %v", doc, err)
		}
	}
}

func TestParsersKeepToTheirLimits(t *testing.T) {
	stats := &format.Snapshot{}
	var plain strings.Builder
	for i := range 100 {
		name := fmt.Sprintf("x%02d", i)
		stats.Stats = append(stats.Stats, format.Stat{Name: name, Value: format.Int(1)})
		fmt.Fprintf(&plain, "%s: 1\n", name)
	}
	typed := string(format.AppendTyped(nil, &format.Document{Snapshot: stats}))
	for _, text := range []string{plain.String(), typed} {
		if doc, err := parse(anyText, text, Limits{MaxStats: 100}, true); err != nil || len(doc.Snapshot.Stats) != 100 {
			t.Errorf("%.20q: %v", text, err)
		}
		if doc, err := parse(anyText, text, Limits{MaxStats: 99}, true); err == nil {
			t.Errorf("%.20q: %d stats, where 99 are allowed", text, len(doc.Snapshot.Stats))
		}
	}
}

func TestReadTextReadsSeveralTypedSnapshots(t *testing.T) {
	check := func(text string, want string, wantErr error) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			snapshots, err := ReadText(r, Limits{})
			got := ""
			for _, s := range snapshots {
				got += string(format.AppendPlain(nil, s))
			}
			if got != want || !errors.Is(err, wantErr) {
				t.Errorf("%.40q is %q, %v; want %q, %v", text, got, err, want, wantErr)
			}
		}
	}
	one, two := typedOf(someID, 1), typedOf("", 2)
	check(one, "x: 1\n", nil)
	check(one+two, "x: 1\nx: 2\n", nil)
	check(one+two+one, "x: 1\nx: 2\nx: 1\n", nil)
	check(one+two[:len(two)-1], "x: 1\n", format.ErrTorn)
	check(one+two[:len(two)/2], "x: 1\n", format.ErrTorn)
	check(one[:strings.Index(one, "\n")+1]+two, "x: 2\n", format.ErrTorn)
	check(strings.Replace(one, "statvent: 1", "statvent: 9", 1), "", format.ErrVersion)
	check("x: 1\nstatvent: 1\n", "statvent: 1\nx: 1\n", nil) // plain, as it begins

	if s, err := ReadText(strings.NewReader(one+two), Limits{MaxBytes: len(one)}); err == nil {
		t.Errorf("%d snapshots of more bytes than are allowed", len(s))
	}
	if s, err := ReadText(strings.NewReader(one+two), Limits{MaxStats: 1}); err == nil {
		t.Errorf("%d snapshots of more stats than are allowed", len(s))
	}
}

func TestReadTextOfNothingIsAnError(t *testing.T) {
	if s, err := ReadText(strings.NewReader(""), Limits{}); !errors.Is(err, ErrEmpty) || s != nil {
		t.Errorf("ReadText: %v, %v", s, err)
	}
	if s, err := ReadText(strings.NewReader("\n"), Limits{}); err != nil || len(s) != 1 || s[0].Skipped != 1 {
		t.Errorf("ReadText of an empty line: %v, %v", s, err)
	}
}
