package pipes

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/statvent/statvent/pkg/format"
)

// A textFormat is what a text is in.
type textFormat int

const (
	anyText textFormat = iota // whichever it begins as
	plainText
	typedText
)

// A parser takes a text that is one document, in pieces.
type parser interface {
	io.Writer
	end() (*format.Document, error)
}

// newParser returns a parser of a text that may be like an earlier one of the same
// source, of which that is the snapshot, or nil.
func newParser(f textFormat, limits Limits, like *format.Snapshot) parser {
	switch f {
	case plainText:
		return &plainParser{format.PlainParser{MaxLine: limits.MaxLine, MaxStats: limits.MaxStats, Like: like}}
	case typedText:
		return &typedParser{format.TypedParser{MaxLine: limits.MaxLine, MaxStats: limits.MaxStats, Like: like}}
	default:
		return &anyParser{limits: limits}
	}
}

type plainParser struct{ format.PlainParser }

func (p *plainParser) end() (*format.Document, error) {
	return &format.Document{Snapshot: p.Snapshot()}, nil
}

type typedParser struct{ format.TypedParser }

func (p *typedParser) end() (*format.Document, error) {
	docs, err := p.Documents()
	if err == nil && len(docs) > 1 {
		err = fmt.Errorf("there are %d snapshots in place of one", len(docs))
	}
	if err != nil {
		return nil, err
	}
	return docs[0], nil
}

// An anyParser decides with the first line.
type anyParser struct {
	limits Limits
	begun  []byte
	parser parser // nil until it is decided
}

func (p *anyParser) Write(text []byte) (int, error) {
	if p.parser != nil {
		return p.parser.Write(text)
	}
	p.begun = append(p.begun, text...)
	if bytes.IndexByte(p.begun, '\n') < 0 && len(p.begun) <= p.limits.MaxLine {
		return len(text), nil
	}
	return len(text), p.decide()
}

func (p *anyParser) decide() error {
	p.parser = newParser(formatOf(p.begun), p.limits, nil)
	_, err := p.parser.Write(p.begun)
	p.begun = nil
	return err
}

func (p *anyParser) end() (*format.Document, error) {
	if p.parser == nil {
		if err := p.decide(); err != nil {
			return nil, err
		}
	}
	return p.parser.end()
}

// formatOf returns the format of a text of which the first line is there.
func formatOf(text []byte) textFormat {
	if format.IsTyped(text) {
		return typedText
	}
	return plainText
}

// ErrEmpty is the error of a text without anything in it: whoever should have
// written it has failed.
var ErrEmpty = errors.New("it is empty")

// ReadText reads a text from anything but a FIFO: a snapshot in the plain
// format, or one or several in the typed one. The error may be about the last of
// them, and the others are whole.
func ReadText(r io.Reader, limits Limits) (snapshots []*format.Snapshot, err error) {
	defer recoverTo(&err)
	limits = limits.withDefaults()
	var text bytes.Buffer
	if err := copyLimited(&text, r, limits); err != nil {
		return nil, err
	}
	if text.Len() == 0 {
		return nil, ErrEmpty
	}
	if formatOf(text.Bytes()) == plainText {
		p := format.PlainParser{MaxLine: limits.MaxLine, MaxStats: limits.MaxStats}
		if _, err := text.WriteTo(&p); err != nil {
			return nil, limits.said(err)
		}
		return []*format.Snapshot{p.Snapshot()}, nil
	}
	p := format.TypedParser{MaxLine: limits.MaxLine, MaxStats: limits.MaxStats}
	if _, err := text.WriteTo(&p); err != nil {
		return nil, limits.said(err)
	}
	docs, err := p.Documents()
	snapshots = make([]*format.Snapshot, len(docs))
	for i, doc := range docs {
		snapshots[i] = doc.Snapshot
	}
	return snapshots, err
}

// copyLimited copies what there is, which must not be more than a source may
// send.
func copyLimited(w io.Writer, r io.Reader, limits Limits) error {
	n, err := io.Copy(w, io.LimitReader(r, int64(limits.MaxBytes)+1))
	if err == nil && n > int64(limits.MaxBytes) {
		err = &LimitError{LimitSourceBytes, limits.MaxBytes}
	}
	return limits.said(err)
}

// said returns an error of a parser as a LimitError if it is one.
func (l Limits) said(err error) error {
	if errors.Is(err, format.ErrTooManyStats) {
		return &LimitError{LimitSourceStats, l.MaxStats}
	}
	return err
}
