package tap

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
)

// mostPeeked bounds the answers that are looked at; longer ones pass without.
const mostPeeked = 64 << 10

// peek is the body of an answer that is looked at while it passes. It keeps no byte back.
type peek struct {
	io.ReadCloser
	packed bool // with gzip
	seen   bytes.Buffer
	tried  int
	done   func(body []byte) // is called once: with the whole text, or with nothing if it was not seen whole
}

// triesBeforeEnd is how often a text is tried before the body has ended. The desktop has the whole answer with its last
// byte, so it is understood before that is passed on. Whoever sends it in a thousand pieces has it understood at the end.
const triesBeforeEnd = 4

func (p *peek) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if p.done == nil {
		return n, err
	}
	if p.seen.Len()+n > mostPeeked {
		p.finish(nil)
		return n, err
	}
	p.seen.Write(b[:n])
	switch {
	case err == io.EOF:
		p.finish(p.text())
	case err != nil:
		p.finish(nil)
	case p.tried < triesBeforeEnd && p.seen.Len() > 0:
		p.tried++
		if text := p.text(); json.Valid(text) {
			p.finish(text)
		}
	}
	return n, err
}

// Close implements io.Closer. A body that was not read to its end says nothing.
func (p *peek) Close() error {
	if p.done != nil {
		p.finish(nil)
	}
	return p.ReadCloser.Close()
}

func (p *peek) finish(body []byte) {
	done := p.done
	p.done = nil
	done(body)
	p.seen = bytes.Buffer{}
}

// text is what was seen so far, unpacked; nil: that cannot be done.
func (p *peek) text() []byte {
	if !p.packed {
		return p.seen.Bytes()
	}
	unpack, err := gzip.NewReader(bytes.NewReader(p.seen.Bytes()))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(unpack, mostPeeked+1))
	if err != nil || len(text) > mostPeeked {
		return nil
	}
	return text
}

// canPeek reports whether an answer's text can be looked at, and whether it is packed. Length is negative where it is not
// said.
func canPeek(encoding string, length int64) (packed, ok bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return false, length <= mostPeeked
	case "gzip", "x-gzip":
		return true, length <= mostPeeked
	}
	return false, false
}
