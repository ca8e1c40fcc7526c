package format

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"strconv"
	"time"
)

// TypedVersion is the version of the typed format that this package writes and
// reads.
const TypedVersion = 1

// The keywords of the typed format, by what follows them.
const (
	keyVersion = "statvent" // the version
	keyPID     = "pid"      // a pid
	keySource  = "source"   // the name of a source, and 1
	keyEnd     = "end"      // how many lines come before, which may be left out, and how many stats

	keyID     = "id"     // an id, and 1
	keyFolded = "folded" // the same

	keyUntyped      = "untyped" // a name and its value
	keyCounter      = "counter"
	keyGauge        = "gauge"
	keyDistribution = "distribution" // a name and the number of values ever recorded
	keySum          = "sum"          // and their sum
	keySample       = "sample"       // and one of the last of them
	keyEmitted      = "emitted"      // a name and when a script changed it, in Unix time
	keyExpires      = "expires"      // a name and when it ends to be
	keyLabel        = "label"        // a label, the name, and the label's percentile
)

// AppendTyped appends the document in the typed format: a line each, KEYWORD
// [ARGUMENT] NAME: NUMBER, of which the first carries the version and the last
// shows that nothing is missing.
func AppendTyped(b []byte, d *Document) []byte {
	start := len(b)
	b = appendLine(b, keyVersion, Int(TypedVersion))
	if d.ID != "" {
		b = appendNamed(b, keyID, d.ID, Int(1))
	}
	if d.PID != 0 {
		b = appendLine(b, keyPID, Int(int64(d.PID)))
	}
	if d.Source != "" {
		b = append(b, keySource+" "...)
		b = appendLine(appendArgument(b, d.Source), "", Int(1))
	}
	for _, id := range d.Folded {
		b = appendNamed(b, keyFolded, id, Int(1))
	}
	for i := range d.Snapshot.Stats {
		stat := &d.Snapshot.Stats[i]
		b = appendTypedStat(b, stat)
		if emitted, ok := d.Emitted[stat.Name]; ok && (i == 0 || d.Snapshot.Stats[i-1].Name != stat.Name) {
			b = appendTime(b, keyEmitted, stat.Name, emitted.At)
			b = appendTime(b, keyExpires, stat.Name, emitted.Expires)
		}
	}
	lines := bytes.Count(b[start:], []byte("\n"))
	b = append(b, keyEnd+" "...)
	b = strconv.AppendInt(b, int64(lines), 10)
	return appendLine(b, "", Int(int64(len(d.Snapshot.Stats))))
}

func appendTypedStat(b []byte, stat *Stat) []byte {
	if stat.Kind != Distribution {
		return appendNamed(b, stat.Kind.String(), stat.Name, stat.Value)
	}
	b = appendNamed(b, keyDistribution, stat.Name, Int(stat.Dist.Count))
	b = appendNamed(b, keySum, stat.Name, stat.Dist.Sum)
	for _, label := range stat.Dist.Labels {
		percentile := Float(label.Percentile)
		if i := int64(label.Percentile); float64(i) == label.Percentile {
			percentile = Int(i)
		}
		b = append(b, keyLabel+" "...)
		b = appendArgument(b, label.Name)
		b = appendNamed(b, "", stat.Name, percentile)
	}
	return appendSamples(b, stat.Name, stat.Dist.Window)
}

// appendSamples is appendNamed for each sample. They are most of what a program
// publishes, and their lines differ in the value only.
func appendSamples(b []byte, name string, window []Value) []byte {
	start := len(b)
	b = append(b, keySample+" "...)
	b = append(b, name...)
	b = append(b, ": "...)
	end := len(b)
	if len(window) == 0 {
		return b[:start]
	}
	for i, v := range window {
		if i > 0 {
			b = append(b, b[start:end]...)
		}
		b = v.Append(b)
		b = append(b, '\n')
	}
	return b
}

func appendNamed(b []byte, keyword, name string, v Value) []byte {
	b = append(b, keyword...)
	b = append(b, ' ')
	return appendLine(b, name, v)
}

// appendTime appends a time to the microsecond, unless it is zero.
func appendTime(b []byte, keyword, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendNamed(b, keyword, name, Float(float64(t.UnixMicro())/1e6))
}

// parseTime reads what appendTime has written.
func parseTime(v Value) (time.Time, bool) {
	const tooFar = 1 << 33 // the year 2242; a float holds microseconds until then
	seconds := v.Float64()
	if !(math.Abs(seconds) < tooFar) {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(math.Round(seconds * 1e6))), true
}

// inArgument tells whether an argument, which ends at a blank, can have c.
func inArgument(c byte) bool { return c > ' ' && c != '%' }

// appendArgument appends an argument, in which "%" and two hexadecimal digits
// stand for a byte.
func appendArgument(b []byte, argument string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(argument) {
		if c := argument[i]; inArgument(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func parseArgument(s []byte) ([]byte, bool) {
	if !bytes.Contains(s, []byte("%")) {
		return s, true
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return nil, false
		}
		c, err := strconv.ParseUint(string(s[i+1:i+3]), 16, 8)
		if err != nil {
			return nil, false
		}
		b = append(b, byte(c))
		i += 2
	}
	return b, true
}

// ErrTorn is the error of a document without its end, or with something missing
// in the middle.
var ErrTorn = errors.New("the snapshot is torn: a part of it is missing")

// ErrVersion is the error of a document in a version of the typed format that
// this package doesn't know, or of a text that isn't in the typed format at
// all.
var ErrVersion = errors.New("not in a known version of the typed format")

// A TypedParser reads the typed format: one document, or several, one after
// the other. It is an io.Writer: write the text in pieces of any size, then
// call Documents. Its zero value is ready to use.
//
// A line with a keyword that isn't known is passed over: so the format can
// grow. A line that can't be read is skipped and counted, and costs no other; so
// is a label that makes a name of more than MaxLine bytes, or of more than four times
// those of the name and the label together, and what is beyond 256 labels or 1,048,576
// samples of one distribution, or makes more than 256 different labels of all of one
// name.
type TypedParser struct {
	MaxLine  int // the longest line kept, in bytes; 0 means DefaultMaxLine
	MaxStats int // of all documents, and how many of these, and ids of Folded; 0 means DefaultMaxStats

	// Like is an earlier snapshot of the same source, as a parser returned it, or
	// nil. Reading one that has the same names is faster, and uses these again.
	Like *Snapshot

	lines     lines
	written   int  // lines of the text that is being written
	sized     bool // memory for stats was taken, as many as there may be; for one document only
	documents []*Document
	stats     int             // of all documents
	err       error           // about the first that isn't complete
	open      *openedDocument // nil before its first line
}

// Write parses the lines that end in text and keeps the beginning of the next
// one. Its error is nil or ErrTooManyStats.
func (p *TypedParser) Write(text []byte) (int, error) {
	p.written = bytes.Count(text, []byte("\n"))
	if err := p.lines.write(text, cmp.Or(p.MaxLine, DefaultMaxLine), (*typedLines)(p)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Documents ends the text and returns the documents that are complete. The
// error, ErrTorn or ErrVersion, is about one that isn't. The parser is then
// ready for another text.
func (p *TypedParser) Documents() ([]*Document, error) {
	if p.open != nil || p.lines.open() || len(p.documents) == 0 {
		(*typedLines)(p).giveUp()
	}
	documents, err := p.documents, p.err
	*p = TypedParser{MaxLine: p.MaxLine, MaxStats: p.MaxStats, Like: p.Like}
	return documents, err
}

// giveUp ends a document that isn't complete.
func (p *typedLines) giveUp() {
	if p.open != nil && !p.open.known {
		p.err = cmp.Or(p.err, ErrVersion)
	}
	p.err = cmp.Or(p.err, ErrTorn)
	p.open = nil
}

// typedLines are what a TypedParser does with lines.
type typedLines TypedParser

// again takes a line that is like one before, and says whether it is.
func (p *typedLines) again(line []byte) (bool, error) {
	if p.open == nil || !p.open.known {
		return false, nil
	}
	if p.open.sampleAgain(line) {
		return true, nil
	}
	expected := p.Like.at(len(p.open.snapshot.Stats))
	if expected == nil || expected.Kind == Distribution {
		return false, nil
	}
	v, ok := valueAgain(line, expected.Kind.String(), expected.Name)
	if !ok {
		return false, nil
	}
	p.open.lines++
	p.open.snapshot.Stats = append(p.open.snapshot.Stats, Stat{Name: expected.Name, Kind: expected.Kind, Value: v})
	return true, p.count()
}

// count counts a stat.
func (p *typedLines) count() error {
	if p.stats++; p.stats > p.most() {
		return ErrTooManyStats
	}
	return nil
}

func (p *typedLines) most() int { return cmp.Or(p.MaxStats, DefaultMaxStats) }

func (p *typedLines) line(line []byte) error {
	if again, err := p.again(line); again {
		return err
	}
	left, v, ok := splitLine(line)
	keyword, rest, _ := bytes.Cut(left, []byte(" "))
	switch {
	case ok && string(left) == keyVersion:
		if p.open != nil {
			p.giveUp()
		}
		p.open = &openedDocument{known: v == Int(TypedVersion), like: p.Like, lines: 1, maxName: cmp.Or(p.MaxLine, DefaultMaxLine)}
		if !p.sized {
			p.sized = true
			stats := min(p.written, 256) // of more lines, most are samples
			if p.Like != nil {
				stats = min(p.written, len(p.Like.Stats))
			}
			p.open.snapshot.Stats = make([]Stat, 0, stats)
		}
		if len(p.documents) >= p.most() {
			return ErrTooManyStats // a document without any takes memory as well
		}
	case p.open == nil:
		p.err = cmp.Or(p.err, ErrVersion)
	case !p.open.known:
	case ok && string(keyword) == keyEnd:
		if !p.open.isWhole(rest, v) {
			p.giveUp()
			return nil
		}
		p.documents = append(p.documents, p.open.finish())
		p.open = nil
	default:
		if p.open.line(string(keyword), rest, v, ok) {
			return p.count()
		}
		if len(p.open.document.Folded) > p.most() {
			return ErrTooManyStats // an id without a stat as well
		}
	}
	return nil
}

func (p *typedLines) tooLong() {
	if p.open != nil {
		p.open.lines++
		p.open.snapshot.Skipped++
		p.open.perhaps++
	}
}

// An openedDocument is one that is being read.
type openedDocument struct {
	known    bool      // its version is
	like     *Snapshot // see TypedParser.Like
	document Document
	snapshot Snapshot
	lines    int // that have come
	perhaps  int // of them, that may have been stats
	maxName  int // bytes

	distributions map[string]*Samples  // the last of each name
	repeated      map[string]*labelSet // of a name that has come again, the labels of all of them
	last          Stat                 // the last one
	alike         []Label              // those of the one before that
}

// isWhole tells whether nothing is missing from a document whose end says that it
// has so many lines, if it says so, and stats. A line that could not be read may
// have been a stat, and a keyword that isn't known may be a kind of a later
// version.
func (d *openedDocument) isWhole(lines []byte, stats Value) bool {
	if len(lines) > 0 && string(lines) != strconv.Itoa(d.lines) {
		return false
	}
	n := int64(len(d.snapshot.Stats))
	return !stats.IsFloat() && n <= stats.Int64() && stats.Int64() <= n+int64(d.perhaps)
}

// finish returns the document as one that keeps nothing else of d: by d.like, it would
// keep all that came before it.
func (d *openedDocument) finish() *Document {
	document, snapshot := d.document, d.snapshot
	snapshot.Sort()
	document.Snapshot = &snapshot
	return &document
}

// line reads a line, the value behind its last colon if there is one, and tells
// whether it was a stat.
func (d *openedDocument) line(keyword string, rest []byte, v Value, ok bool) (stat bool) {
	d.lines++
	switch keyword {
	case keyUntyped, keyCounter, keyGauge, keyDistribution:
		ok = ok && (keyword != keyDistribution || v.IsFinite())
		if ok {
			d.add(keyword, d.like.nameAgain(len(d.snapshot.Stats), trimBlanks(rest)), v)
			return true
		}
		d.perhaps++
	case keySum, keySample, keyLabel:
		ok = ok && d.describe(keyword, rest, v)
	case keyEmitted, keyExpires:
		ok = ok && d.emitted(keyword, trimBlanks(rest), v)
	case keyPID, keyID, keySource, keyFolded:
		ok = ok && d.identify(keyword, rest, v)
	default:
		d.perhaps++
	}
	if !ok {
		d.snapshot.Skipped++
	}
	return false
}

// identify reads a line about the document, and tells whether it can be read.
func (d *openedDocument) identify(keyword string, rest []byte, v Value) bool {
	switch keyword {
	case keySource:
		source, ok := parseArgument(trimBlanks(rest))
		d.document.Source = string(source)
		return ok
	case keyPID:
		d.document.PID = int(v.Int64())
	case keyID:
		d.document.ID = string(rest)
	case keyFolded:
		d.document.Folded = append(d.document.Folded, string(rest))
	}
	return true
}

// emitted reads a time of a stat.
func (d *openedDocument) emitted(keyword string, name []byte, v Value) bool {
	t, ok := parseTime(v)
	emitted, isKnown := d.document.Emitted[string(name)]
	if !ok || !isKnown && len(d.document.Emitted) == len(d.snapshot.Stats) { // each stands behind its stat
		return false
	}
	if d.document.Emitted == nil {
		d.document.Emitted = make(map[string]Emitted)
	}
	if keyword == keyEmitted {
		emitted.At = t
	} else {
		emitted.Expires = t
	}
	d.document.Emitted[d.snapshot.nameAgain(len(d.snapshot.Stats)-1, name)] = emitted
	return true
}

func (d *openedDocument) add(keyword, name string, v Value) {
	stat := Stat{Name: name, Value: v}
	switch keyword {
	case keyCounter:
		stat.Kind = Counter
	case keyGauge:
		stat.Kind = Gauge
	case keyDistribution:
		if d.distributions == nil {
			d.distributions = make(map[string]*Samples)
		}
		if before := d.distributions[name]; before != nil {
			d.repeat(name, before)
		}
		stat = Stat{Name: name, Kind: Distribution, Dist: &Samples{Count: v.Int64()}}
		d.distributions[name] = stat.Dist
		if d.last.Dist != nil {
			d.alike = d.last.Dist.Labels
		}
		d.last = stat
	}
	d.snapshot.Stats = append(d.snapshot.Stats, stat)
}

// repeat notes the labels of a name that comes again. All distributions of a name
// together have no more of them than one may have: they will be one.
func (d *openedDocument) repeat(name string, before *Samples) {
	if d.repeated[name] != nil {
		return
	}
	if d.repeated == nil {
		d.repeated = make(map[string]*labelSet)
	}
	all := new(labelSet)
	all.addAll(before.Labels)
	d.repeated[name] = all
}

// describe reads a line about the last distribution of its name.
func (d *openedDocument) describe(keyword string, rest []byte, v Value) bool {
	label, read := []byte(nil), true
	if keyword == keyLabel {
		label, rest, _ = bytes.Cut(rest, []byte(" "))
		label, read = parseArgument(label)
	}
	name := trimBlanks(rest)
	samples, ok := d.distributions[string(name)]
	switch {
	case !ok || !read:
		return false
	case keyword == keySum:
		samples.Sum = v
	case keyword == keySample && len(samples.Window) < maxSamples:
		samples.Window = append(samples.Window, v)
	case keyword == keyLabel && len(samples.Labels) < maxLabels && d.mayMake(name, label):
		l := Label{d.labelName(label, len(samples.Labels)), v.Float64()}
		if all := d.repeated[string(name)]; all != nil && !all.add(l) {
			return false
		}
		samples.Labels = append(samples.Labels, l)
	default:
		return false
	}
	return true
}

// mayMake tells whether the name that a label makes is short enough, for a line and for
// what was sent of it: in many places of a name, a label makes very much of little.
func (d *openedDocument) mayMake(name, label []byte) bool {
	made := len(name) + bytes.Count(name, []byte(labelPlace))*(len(label)-len(labelPlace))
	return made <= min(d.maxName, maxGrowth*(len(name)+len(label)))
}

// labelName returns a label as a string. The distributions of a program mostly have the
// same labels in the same order, and share them.
func (d *openedDocument) labelName(label []byte, i int) string {
	if i < len(d.alike) && d.alike[i].Name == string(label) {
		return d.alike[i].Name
	}
	return string(label)
}

// sampleAgain takes one more sample of the last distribution.
func (d *openedDocument) sampleAgain(line []byte) bool {
	samples := d.last.Dist
	if samples == nil || len(samples.Window) >= maxSamples {
		return false
	}
	v, ok := valueAgain(line, keySample, d.last.Name)
	if !ok {
		return false
	}
	samples.Window = append(samples.Window, v)
	d.lines++
	return true
}

// What one distribution may have: a few lines must not become very many names, or
// very long ones.
const (
	maxLabels  = 256
	maxSamples = 1 << 20
	maxGrowth  = 4 // times the bytes of a name and a label are those of what they make
)

// IsTyped tells whether a text begins as a document in the typed format does,
// of whatever version. It needs no more than the first line.
func IsTyped(text []byte) bool {
	first, _, whole := bytes.Cut(text[:min(len(text), maxFirstLine)], []byte("\n"))
	left, v, ok := splitLine(first)
	return whole && ok && string(left) == keyVersion && !v.IsFloat()
}

const maxFirstLine = 40
