package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
)

// Bury implements worker.Journal. The letter's ID is the position of its change, and the agent's last letter is checked first, so
// repeated calls store one letter.
func (j *journal) Bury(letter worker.DeadLetter, done func(worker.Kept)) {
	var result []byte
	if letter.Result != nil {
		result = letter.Result.AppendJSON(nil)
	}
	j.letters.add(job{
		do:    func(ctx context.Context, form int) error { return j.bury(ctx, letter, result, form) },
		forms: letterResult,
		done: func(form int) {
			if form == letterWhole {
				done(worker.KeptWhole)
				return
			}
			j.log.Warn("a dead letter could not be stored as it was and was cut", "agent_id", letter.Agent, "change_seq", letter.Pos.Seq)
			done(worker.KeptCut)
		},
		giveUp: func(err error) {
			j.log.Error("a dead letter could not be stored and was given up", "agent_id", letter.Agent, "change_seq", letter.Pos.Seq,
				"result", string(result), "err", plain(err))
			done(worker.KeptNot)
		},
	})
}

func (j *journal) bury(ctx context.Context, letter worker.DeadLetter, result []byte, form int) error {
	id := letter.Pos.String()
	if result == nil { // from before this term: it may be there
		there, err := j.isBuried(ctx, letter.Agent, id)
		if there || err != nil {
			return err
		}
		m, err := GetMsg(ctx, j.js, j.names.ResultsStream(), letter.Seq)
		if err != nil {
			return err
		}
		result = m.Data
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
	_, err = j.js.PublishMsg(ctx, j.deadLetter(letter, original, id, result, form))
	return err
}

// isOf reports whether the result belongs to a change in the message. In a restored stream, another message may have its sequence.
func isOf(original *original, result []byte) bool {
	var r messages.Result
	return json.Unmarshal(result, &r) == nil && original.At.Equal(r.ReceivedAt)
}

func (j *journal) isBuried(ctx context.Context, agent, id string) (bool, error) {
	m, _, err := lastGenuine(ctx, j.js, j.names.DeadStream(), j.names.Dead(agent), func(m *Message) bool {
		_, _, err := ledger.CutPosition(m.Header.Get(nats.MsgIdHdr))
		return err == nil && m.Header.Get(messages.ResultHeader) != ""
	})
	return m.Header.Get(nats.MsgIdHdr) == id, err
}

// The forms of a dead letter, each smaller than the one before.
const (
	letterWhole  = iota
	letterCut    // without headers, the body cut to what a stream surely takes
	letterResult // the result alone
)

// cutTo is how much of the body is kept if the letter could not be stored as it is.
const cutTo = 1 << 10

// deadLetter makes a letter from its message.
func (j *journal) deadLetter(letter worker.DeadLetter, original *original, id string, result []byte, form int) *nats.Msg {
	m := &nats.Msg{Subject: j.names.Dead(letter.Agent), Header: nats.Header{}, Data: original.Data}
	if !letter.Whole {
		m.Data = j.item(original, letter.Pos.Index)
	}
	most := max(0, int(j.conn.MaxPayload())-2*headerRoom)
	var cut bool
	switch form {
	case letterWhole:
		m.Header, cut = keepHeaders(original.Block)
	case letterCut:
		most, cut = cutTo, true
	default:
		most, cut = 0, true
	}
	if len(m.Data) > most {
		m.Data, cut = m.Data[:most], true
	}
	m.Header[nats.MsgIdHdr] = []string{id}
	m.Header[messages.ResultHeader] = []string{string(result)}
	if cut {
		m.Header[messages.CutHeader] = []string{"true"}
	}
	return m
}

// original is a message of changes that was read back.
type original struct {
	Message
	items func() int // how many it has
}

// original reads a message of changes back. It caches the last one, because one message can have thousands of letters.
func (j *journal) original(ctx context.Context, seq uint64) (*original, error) {
	j.mu.Lock()
	last := j.buried
	j.mu.Unlock()
	if last != nil && last.Seq == seq {
		return last, nil
	}
	m, err := GetMsg(ctx, j.js, j.names.ChangesStream(), seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &original{}, nil // deleted by hand: the result is what is left
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

// item extracts one item from the message. The parts are cached, because parsing a long message for each of its items would take
// quadratic time.
func (j *journal) item(m *original, index int) []byte {
	j.partsMu.Lock()
	defer j.partsMu.Unlock()
	if j.parts == nil || j.partsOf != m {
		j.parts, j.partsOf = messages.NewParts(m.Data), m
	}
	return j.parts.Extract(index)
}
