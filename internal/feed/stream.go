package feed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// stream is an input of documents in the typed format, each of which takes the place of
// the one before.
type stream struct {
	documents chan streamed // the newest one that nobody has taken
}

type streamed struct {
	snapshots []*format.Snapshot
	err       error // there will be no more
}

// NewStream returns the input of what there is to read. It reads on, and forgets what
// is replaced before anybody has asked.
func NewStream(r io.Reader) Input {
	s := &stream{documents: make(chan streamed, 1)}
	go s.run(bufio.NewReader(r))
	return s
}

func (s *stream) Name() string { return "standard input" }

func (s *stream) read(ctx context.Context, _ bool) (*said, error) {
	select {
	case next := <-s.documents:
		if next.err != nil {
			return nil, next.err
		}
		return saidBy(s.Name(), next.snapshots), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run reads one document after the other. One that is torn costs no other.
func (s *stream) run(r *bufio.Reader) {
	for first := true; ; first = false {
		text, err := readDocument(r)
		if first && errors.Is(err, io.EOF) {
			err = pipes.ErrEmpty
		}
		if err != nil {
			s.documents <- streamed{err: err} // behind the last document, whoever is slow
			return
		}
		select {
		case <-s.documents: // nobody has taken it
		default:
		}
		snapshots, err := pipes.ReadText(text, pipes.Limits{MaxBytes: maxAnswer, MaxStats: maxAnswerStats})
		s.documents <- streamed{snapshots, err}
	}
}

// readDocument reads up to the end of a document. It returns io.EOF if there is none.
func readDocument(r *bufio.Reader) (*bytes.Buffer, error) {
	text := new(bytes.Buffer)
	for startsLine := true; ; {
		piece, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) && text.Len()+len(piece) > 0 {
				err = errors.New("it ends within a document")
			}
			return nil, err
		}
		if text.Len() == 0 && !format.IsTyped(piece) {
			return nil, errors.New("it is not in the typed format, which 'statvent watch -o typed' prints")
		}
		text.Write(piece)
		if startsLine && isEnd(piece) {
			return text, nil
		}
		startsLine = err == nil
		if text.Len() > maxAnswer {
			return nil, fmt.Errorf("a document has more than %d bytes", maxAnswer)
		}
	}
}

// isEnd tells whether a line is the last of a document.
func isEnd(line []byte) bool {
	return bytes.HasPrefix(line, []byte("end ")) || bytes.HasPrefix(line, []byte("end:"))
}
