package sheet

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"idlepolicy/worker/stream/desk"
)

// Load reads a file of changes by its name; "-" is stdin.
func Load(name, format string, stdin io.Reader, st Stamp) (*Sheet, error) {
	var data []byte
	var err error
	if name == "-" {
		name = "standard input"
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(name)
	}
	if opening, ok := errors.AsType[*fs.PathError](err); ok { // it says the name again
		err = opening.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", name)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	return Read(name, format, data, st)
}

// Fits checks what only the server knows: how large a message may be.
func (s *Sheet) Fits(most int) error {
	const room = 1 << 10 // for the headers
	way := "send its items in several messages"
	if s.bulk {
		way = "leave out --bulk"
	}
	for _, l := range s.Messages {
		if len(l.Body)+room > most {
			return fmt.Errorf("%s:%d: a message of %d bytes, and the server takes %d: %s; nothing was published", s.Name, l.Line, len(l.Body), most-room, way)
		}
	}
	return nil
}

// Publications returns the messages under IDs that begin with prefix and name the line and its content. Repeating a file
// with the same prefix doubles nothing, and a line that was corrected in between is another message.
func (s *Sheet) Publications(prefix string) iter.Seq[desk.Publication] {
	return func(yield func(desk.Publication) bool) {
		for _, l := range s.Messages {
			if !yield(desk.Publication{ID: l.ID(prefix), Body: l.Body, Agents: l.Agents}) {
				return
			}
		}
	}
}

// ID returns the Nats-Msg-Id of the message under a prefix, which is also the default id of its changes.
func (m *Message) ID(prefix string) string {
	sum := sha256.Sum256(m.Body)
	return fmt.Sprintf("%s-%d-%x", prefix, m.Line, sum[:6])
}
