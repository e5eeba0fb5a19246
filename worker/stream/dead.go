package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// Bury implements worker.Journal. The letter's ID is the position of its change, and the last letter of the agent is
// looked at first, so that it is there once however often this is done.
func (j *journal) Bury(letter worker.DeadLetter, done func(worker.Kept)) {
	var result []byte
	if letter.Result != nil {
		result = letter.Result.AppendJSON(nil)
	}
	j.letters.add(func(ctx context.Context) error {
		if err := j.bury(ctx, letter, result); err != nil {
			return err
		}
		done(worker.KeptWhole)
		return nil
	})
}

func (j *journal) bury(ctx context.Context, letter worker.DeadLetter, result []byte) error {
	id := letter.Pos.String()
	if result == nil { // from before this term: it may be there
		there, err := j.isBuried(ctx, letter.Agent, id)
		if there || err != nil {
			return err
		}
		if result, err = j.resultAt(ctx, letter.Seq); err != nil {
			return err
		}
	}
	original, err := j.original(ctx, letter.Pos.Seq)
	if err != nil {
		return fmt.Errorf("read the change back: %w", err)
	}
	if letter.Unread {
		if !isOf(original, result) {
			return nil // it was acknowledged, which it is once the letter is there
		}
		letter.Whole = original.items() == 1
	}
	_, err = j.js.PublishMsg(ctx, j.deadLetter(letter, original, id, result))
	return err
}

// isOf tells whether the result is that of a change in the message. In a stream that was restored another one may have its
// sequence.
func isOf(original *original, result []byte) bool {
	var r messages.Result
	return json.Unmarshal(result, &r) == nil && original.Time.Equal(r.ReceivedAt)
}

func (j *journal) isBuried(ctx context.Context, agent, id string) (bool, error) {
	s, err := j.dead.get(ctx)
	if err != nil {
		return false, err
	}
	m, err := s.GetLastMsgForSubject(ctx, j.names.Dead(agent))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && m.Header.Get(nats.MsgIdHdr) == id, err
}

func (j *journal) resultAt(ctx context.Context, seq uint64) ([]byte, error) {
	s, err := j.results.get(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.GetMsg(ctx, seq)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// deadLetter makes the letter from the message as the stream still has it.
func (j *journal) deadLetter(letter worker.DeadLetter, original *original, id string, result []byte) *nats.Msg {
	body := original.Data
	if !letter.Whole {
		body = j.item(original, letter.Pos.Index)
	}
	m := &nats.Msg{Subject: j.names.Dead(letter.Agent), Header: nats.Header{}, Data: body}
	room := headerRoom
	cut := false
	for name, values := range original.Header {
		as, size := deadName(name), 0
		for _, value := range values {
			size += len(as) + len(value) + len(": \r\n")
		}
		if size > room {
			cut = true
			continue
		}
		room -= size
		m.Header[as] = values
	}
	m.Header[nats.MsgIdHdr] = []string{id}
	m.Header[messages.ResultHeader] = []string{string(result)}
	if most := int(j.conn.MaxPayload()) - 2*headerRoom; len(m.Data) > most {
		m.Data, cut = m.Data[:max(0, most)], true
	}
	if cut {
		m.Header[messages.CutHeader] = []string{"true"}
	}
	return m
}

// original is a message of changes that was read back.
type original struct {
	*jetstream.RawStreamMsg
	items func() int // how many it has
}

// original reads a message of changes back. The last one is kept: thousands of letters can be of one message.
func (j *journal) original(ctx context.Context, seq uint64) (*original, error) {
	j.mu.Lock()
	last := j.buried
	j.mu.Unlock()
	if last != nil && last.Sequence == seq {
		return last, nil
	}
	s, err := j.changes.get(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &original{RawStreamMsg: &jetstream.RawStreamMsg{}}, nil // deleted by hand: the result is what is left
	}
	if err != nil {
		return nil, err
	}
	o := &original{m, sync.OnceValue(func() int { return messages.Decode(m.Data, "").Items })}
	j.mu.Lock()
	j.buried = o
	j.mu.Unlock()
	return o, nil
}

// item takes one item out of the message. Taking a long message apart for each of its items would cost its square.
func (j *journal) item(m *original, index int) []byte {
	j.partsMu.Lock()
	defer j.partsMu.Unlock()
	if j.parts == nil || j.partsOf != m {
		j.parts, j.partsOf = messages.NewParts(m.Data), m
	}
	return j.parts.Extract(index)
}

// headerRoom is what the original's headers may take of a letter: the server takes 64 KiB of headers, and the result
// must fit beside them.
const headerRoom = 24 << 10

// deadName keeps headers of the original that mean something to a server from acting once more, and those that look like
// ours from being taken for them.
func deadName(name string) string {
	ours := strings.EqualFold(name, messages.ResultHeader) || strings.EqualFold(name, messages.CutHeader)
	if ours || len(name) >= 5 && strings.EqualFold(name[:5], "Nats-") {
		return "Idle-" + name
	}
	return name
}
