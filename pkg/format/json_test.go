package format

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAppendJSON(t *testing.T) {
	collected := time.Unix(1700000000, 250e6)
	f := func(wantStats string, stats ...Stat) {
		t.Helper()
		want := `before{"stats":{` + wantStats + `},"timestamp":1700000000.250}` + "\n"
		if got := string(AppendJSON([]byte("before"), &Snapshot{Stats: stats}, collected)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(``)
	f(`"a":1`, Stat{Name: "a", Kind: Counter, Value: Int(1)})
	f(`"a":1.5,"b":-2`, Stat{Name: "a", Kind: Gauge, Value: Float(1.5)}, Stat{Name: "b", Value: Int(-2)})
	f(`"B":0,"a":0,"é":0`, Stat{Name: "é"}, Stat{Name: "a"}, Stat{Name: "B"})
	f(`"\\xfe":0,"\\xff":0`, Stat{Name: "\xff"}, Stat{Name: "\xfe"})
	f(`"a":6`, Stat{Name: "a", Value: Int(1)}, Stat{Name: "a", Value: Int(2)}, Stat{Name: "a", Value: Int(3)})
	f(`"l.100th":3,"l.95th":2,"l.99th":2,"l.mean":2.0,"l.median":1`, distribution("l.{0}", ints(1, 2, 3)...))
	f(``, distribution("l.{0}"))
}

func TestJSONNumber(t *testing.T) {
	f := func(v Value, want string) {
		t.Helper()
		if got := string(appendJSONNumber([]byte("1e5."), v)); got != "1e5."+want {
			t.Errorf("%v: got %q, want %q after what was there", v, got, want)
		}
		if !json.Valid([]byte(want)) {
			t.Errorf("%v: %q isn't JSON", v, want)
		}
	}
	// Integers have no point.
	f(Int(0), "0")
	f(Int(-1), "-1")
	f(Int(1<<53+1), "9007199254740993")
	f(Int(math.MaxInt64), "9223372036854775807")
	f(Int(math.MinInt64), "-9223372036854775808")
	// Floats always have one.
	f(Float(0), "0.0")
	f(Float(negativeZero), "-0.0")
	f(Float(1), "1.0")
	f(Float(-99.5), "-99.5")
	f(Float(123456789012345), "123456789012345.0")
	f(Float(1e16), "1.0e+16")
	f(Float(-1e16), "-1.0e+16")
	f(Float(1.5e16), "1.5e+16")
	f(Float(1e100), "1.0e+100")
	f(Float(1e-05), "1.0e-05")
	f(Float(1.5e-05), "1.5e-05")
	f(Float(math.SmallestNonzeroFloat64), "5.0e-324")
	f(Float(math.MaxFloat64), "1.7976931348623157e+308")
	// What JSON has no number for.
	f(Float(nan), "null")
	f(Float(inf), "null")
	f(Float(-inf), "null")
}

func TestJSONTimestampIsSecondsToTheMillisecond(t *testing.T) {
	f := func(collected time.Time, want string) {
		t.Helper()
		if got, want := string(AppendJSON(nil, &Snapshot{}, collected)), `{"stats":{},"timestamp":`+want+"}\n"; got != want {
			t.Errorf("%v: got %q, want %q", collected, got, want)
		}
	}
	f(time.Unix(0, 0), "0.000")
	f(time.Unix(1, 0), "1.000")
	f(time.Unix(1700000000, 0), "1700000000.000")
	f(time.Unix(1700000000, 1e6), "1700000000.001")
	f(time.Unix(1700000000, 123456789), "1700000000.123")
	f(time.Unix(1700000000, 999999999), "1700000000.999")
	f(time.Date(2023, 11, 14, 23, 13, 20, 5e6, time.FixedZone("CET", 3600)), "1700000000.005")
	f(time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC), "253402300799.999")
	f(time.Unix(-1, 0), "-1.000")
	f(time.Unix(0, -1e6), "-0.001")
	f(time.Time{}, "-62135596800.000")
}

func TestJSONName(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := string(AppendJSONName(nil, name)); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
		var decoded string
		if err := json.Unmarshal([]byte(want), &decoded); err != nil {
			t.Errorf("%s: %v", want, err)
		} else if undoJSONName(decoded) != name {
			t.Errorf("%q is read as %q, which means %q", name, decoded, undoJSONName(decoded))
		}
	}
	f(``, `""`)
	f(`a.b.c.d`, `"a.b.c.d"`)
	f(`http://host:80/ {0} [x]`, `"http://host:80/ {0} [x]"`)
	f(`héhé 統計 😀`, `"héhé 統計 😀"`)
	f("\ufffd", "\"\ufffd\"") // what decoders put for bad bytes, here a good one
	// What can't be seen.
	f("\u2028", `"\u2028"`)
	f("\u009b31m", `"\u009b31m"`)
	f("\u202egnol", `"\u202egnol"`)
	f("\U000e0041", `"\udb40\udc41"`)
	f(`say "hi"`, `"say \"hi\""`)
	f(`C:\dir\file`, `"C:\\dir\\file"`)
	f(`\`, `"\\"`)
	f(`\\`, `"\\\\"`)
	// Control characters.
	f("\x00", `"\u0000"`)
	f("a\tb\rc\x1bd", `"a\u0009b\u000dc\u001bd"`)
	f("\x1f\x20", `"\u001f "`)
	f("\x7f", `"\u007f"`)
	// Bytes that are no UTF-8.
	f("\xff", `"\\xff"`)
	f("a\x80b", `"a\\x80b"`)
	f("\xc3", `"\\xc3"`)                            // the first half of é
	f("é\xc3\xa9\xa9", `"éé\\xa9"`)                 // one byte too many
	f("\xed\xa0\x80", `"\\xed\\xa0\\x80"`)          // a surrogate
	f("\xc0\xaf", `"\\xc0\\xaf"`)                   // overlong
	f("\xf4\x90\x80\x80", `"\\xf4\\x90\\x80\\x80"`) // beyond Unicode
	f("\xe2\x80", `"\\xe2\\x80"`)
	f("\xff\xfe", `"\\xff\\xfe"`)
	// Names that look like what stands for such bytes.
	f(`\xff`, `"\\x5cxff"`)
	f(`\x5c`, `"\\x5cx5c"`)
	f(`\x5cxff`, `"\\x5cx5cxff"`)
	f(`\\xff`, `"\\\\x5cxff"`)
	f(`\xff\x00`, `"\\x5cxff\\x5cx00"`)
	f(`xff`, `"xff"`)
	f(`\x`, `"\\x"`)
	f(`\xf`, `"\\xf"`)
	f(`\xfg`, `"\\xfg"`)
	f(`\u00ff`, `"\\u00ff"`)
	f("\\\xff", `"\\\\xff"`)
	f("\\x\xff", `"\\x\\xff"`)
	f("\\xf\xff", `"\\xf\\xff"`)
	f("\xffxff", `"\\xffxff"`)
}

func TestJSONNamesThatDifferStayDifferent(t *testing.T) {
	names := []string{
		"\xff", `\xff`, `\\xff`, `\x5cxff`, `\xFF`, `\XFF`, "\\\xff", "\ufffd", "\\", `\x5c`, `\\x5c`, `\x5cx5c`,
		"\x00", `\x00`, `\u0000`, "\x7f", `\x7f`, `"`, `\"`, `\x22`, "\xc3\xa9", "\xc3\\xa9", `\xc3\xa9`, "\\xc3\xa9",
	}
	s := &Snapshot{}
	for i, name := range names {
		s.Stats = append(s.Stats, Stat{Name: name, Value: Int(int64(i))})
	}
	stats := decodeJSON(t, AppendJSON(nil, s, time.Unix(0, 0)))
	if len(stats) != len(names) {
		t.Errorf("%d names have become %d: %v", len(names), len(stats), stats)
	}
	for decoded, number := range stats {
		i, err := strconv.Atoi(string(number))
		if err != nil || undoJSONName(decoded) != names[i] {
			t.Errorf("%q is read as %q, which means %q", names[i], decoded, undoJSONName(decoded))
		}
	}
}

func TestAppendJSONLeavesSnapshotAlone(t *testing.T) {
	s := &Snapshot{Skipped: 2, Stats: []Stat{{Name: "b", Value: Int(1)}, {Name: "b", Value: Int(2)}, {Name: "a"}}}
	before := slices.Clone(s.Stats)
	AppendJSON(nil, s, time.Unix(0, 0))
	if !slices.Equal(s.Stats, before) || s.Skipped != 2 {
		t.Errorf("the snapshot has become %+v", s)
	}
}

var byteEscape = regexp.MustCompile(`\\x[0-9a-f][0-9a-f]`)

// undoJSONName returns the name that a decoded JSON string stands for.
func undoJSONName(decoded string) string {
	return byteEscape.ReplaceAllStringFunc(decoded, func(escape string) string {
		c, _ := strconv.ParseUint(escape[2:], 16, 8)
		return string([]byte{byte(c)})
	})
}

// decodeJSON returns the stats of a document, each number as its text.
func decodeJSON(t *testing.T, document []byte) map[string]json.RawMessage {
	t.Helper()
	if !utf8.Valid(document) {
		t.Errorf("%q isn't UTF-8", document)
	}
	if i := bytes.IndexFunc(document, func(r rune) bool { return r < ' ' || r == 0x7f }); i != len(document)-1 {
		t.Errorf("%q has a control character at %d", document, i)
	}
	var read struct {
		Stats     map[string]json.RawMessage
		Timestamp *float64
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		t.Fatalf("%q: %v", document, err)
	}
	if read.Timestamp == nil || decoder.More() {
		t.Errorf("%q: timestamp %v, more after it %v", document, read.Timestamp, decoder.More())
	}
	return read.Stats
}

func FuzzJSON(f *testing.F) {
	f.Add("a.b.c.d", "My Nice Stat", uint64(42), false)
	f.Add("\xff", `\xff`, math.Float64bits(1e16), true)
	f.Add(`\x5cxff`, `\xff`, math.Float64bits(nan), true)
	f.Add("\\\xff", `\\xff`, math.Float64bits(-inf), true)
	f.Add("\x00\"\\", "\u2028\ufffd\xed\xa0\x80", uint64(1)<<63, false)
	f.Fuzz(func(t *testing.T, name, other string, bits uint64, float bool) {
		v := Int(int64(bits))
		if float {
			v = Float(math.Float64frombits(bits))
		}
		s := &Snapshot{Stats: []Stat{{Name: name, Value: v}}}
		if other != name {
			s.Stats = append(s.Stats, Stat{Name: other, Value: v})
		}
		stats := decodeJSON(t, AppendJSON(nil, s, time.UnixMilli(int64(bits>>24))))
		if len(stats) != len(s.Stats) {
			t.Errorf("%q and %q have become one: %q", name, other, stats)
		}
		for decoded, number := range stats {
			if meant := undoJSONName(decoded); meant != name && meant != other {
				t.Errorf("%q means %q, neither %q nor %q", decoded, meant, name, other)
			}
			text := string(number)
			if f := v.Float64(); f != f || math.IsInf(f, 0) {
				if text != "null" {
					t.Errorf("%v is written %s", v, text)
				}
				continue
			}
			if read, err := ParseValue(text); err != nil || !sameValue(read, v) || strings.Contains(text, ".") != v.IsFloat() {
				t.Errorf("%v, float %v, is written %s", v, v.IsFloat(), text)
			}
		}
	})
}
