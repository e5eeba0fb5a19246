package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// The errors of text that cannot be read. They come wrapped in a *LineError.
var (
	ErrNotUTF8 = errors.New("not UTF-8: save the file with that encoding")
	ErrNUL     = errors.New("NUL bytes: the file is not text; export it again as CSV, JSON or XML")
)

// LineError is an error with the line on which it was found, from 1.
type LineError struct {
	Line int
	Err  error
}

// Error says it with the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with the line.
func (e *LineError) Unwrap() error { return e.Err }

// Options say what is accepted beyond UTF-8 and UTF-16.
type Options struct {
	// Windows1252 reads text as Windows-1252 if its first character beyond ASCII is not UTF-8.
	Windows1252 bool
}

var (
	markUTF8 = []byte("\ufeff")
	markLE   = []byte{0xff, 0xfe}
	markBE   = []byte{0xfe, 0xff}
)

// NewReader returns the text of r as UTF-8 without byte order marks. UTF-16 is recognised by its mark, or by the NULs of
// its ASCII characters. Reading fails with a *LineError at what is not text.
func NewReader(r io.Reader, o Options) io.Reader {
	b := bufio.NewReaderSize(r, HeadSize)
	head, _ := b.Peek(HeadSize) // an error comes again with the first Read
	var text io.Reader = b
	if order, ok := utf16Order(head); ok {
		text = transform.NewReader(b, unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder())
		o.Windows1252 = false // what comes out of it is UTF-8
	}
	marks := bufio.NewReaderSize(text, HeadSize)
	for {
		if next, _ := marks.Peek(len(markUTF8)); !bytes.Equal(next, markUTF8) {
			break
		}
		_, _ = marks.Discard(len(markUTF8)) // buffered: never fails
	}
	return transform.NewReader(marks, &toUTF8{windows: o.Windows1252, line: 1})
}

// Decode is NewReader for a file in memory.
func Decode(data []byte, o Options) ([]byte, error) {
	return io.ReadAll(NewReader(bytes.NewReader(data), o))
}

// headText returns the beginning of a text for recognition only.
func headText(head []byte) []byte {
	if order, ok := utf16Order(head); ok {
		text, _ := unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder().Bytes(head)
		return text
	}
	return head
}

func utf16Order(head []byte) (unicode.Endianness, bool) {
	switch {
	case bytes.HasPrefix(head, markLE):
		return unicode.LittleEndian, true
	case bytes.HasPrefix(head, markBE):
		return unicode.BigEndian, true
	case len(head) < 4:
		return unicode.LittleEndian, false
	case head[0] != 0 && head[1] == 0 && head[2] != 0 && head[3] == 0:
		return unicode.LittleEndian, true
	case head[0] == 0 && head[1] != 0 && head[2] == 0 && head[3] != 0:
		return unicode.BigEndian, true
	}
	return unicode.LittleEndian, false
}

// toUTF8 passes UTF-8 on. The first character beyond ASCII decides once for the whole file whether it is Windows-1252.
type toUTF8 struct {
	transform.NopResetter
	windows bool // may still become Windows-1252, or is
	decided bool
	line    int
}

// Transform implements [transform.Transformer].
func (t *toUTF8) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		switch {
		case c == 0:
			return nDst, nSrc, &LineError{t.line, ErrNUL}
		case c < utf8.RuneSelf:
			if nDst == len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			if c == '\n' {
				t.line++
			}
			dst[nDst] = c
			nDst++
			nSrc++
			continue
		}
		out, size, err := t.beyondASCII(src[nSrc:], atEOF)
		if err != nil {
			return nDst, nSrc, err
		}
		if nDst+len(out) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += copy(dst[nDst:], out)
		nSrc += size
	}
	return nDst, nSrc, nil
}

// beyondASCII returns the next character as UTF-8, and how many bytes of src it took.
func (t *toUTF8) beyondASCII(src []byte, atEOF bool) (out []byte, size int, err error) {
	if t.decided && t.windows {
		return []byte(string(charmap.Windows1252.DecodeByte(src[0]))), 1, nil
	}
	if !atEOF && !utf8.FullRune(src) {
		return nil, 0, transform.ErrShortSrc
	}
	r, size := utf8.DecodeRune(src)
	valid := r != utf8.RuneError || size > 1
	if !t.decided {
		t.decided, t.windows = true, t.windows && !valid
		return t.beyondASCII(src, atEOF)
	}
	if !valid {
		return nil, 0, &LineError{t.line, ErrNotUTF8}
	}
	return src[:size], size, nil
}
