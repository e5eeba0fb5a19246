package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Message is a message as a stream holds it.
type Message struct {
	Subject string
	Seq     uint64
	At      time.Time // when the stream stored it
	Data    []byte
	Header  nats.Header
	// Block is the header block as its publisher sent it. A [Reader] leaves it empty.
	Block []byte
	// Undecoded is set by a [Reader] if there is a block that nats.go cannot decode: Header is empty then, and GetMsg
	// reads it.
	Undecoded bool
	// Pending is set by a [Reader]: how many more messages there were when this one was sent.
	Pending uint64
}

// GetMsg returns the message of a sequence from the leader of its stream, whatever its publisher put into the headers;
// jetstream.ErrMsgNotFound if there is none. It asks $JS.API.STREAM.MSG.GET, whose answer keeps the block apart from what
// the server says. The library's own way fails if it cannot decode the block, and direct gets mix both.
func GetMsg(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) (Message, error) {
	return getMsg(ctx, js, stream, getRequest{Seq: seq})
}

// GetLastMsg returns the last message of a subject as GetMsg does. The subject may have wildcards.
func GetLastMsg(ctx context.Context, js jetstream.JetStream, stream, subject string) (Message, error) {
	return getMsg(ctx, js, stream, getRequest{LastFor: subject})
}

// GetNextMsg returns the first message of a subject from a sequence on, as GetMsg does.
func GetNextMsg(ctx context.Context, js jetstream.JetStream, stream, subject string, seq uint64) (Message, error) {
	return getMsg(ctx, js, stream, getRequest{Seq: seq, NextFor: subject})
}

// getRequest is what the server wants to be asked.
type getRequest struct {
	Seq     uint64 `json:"seq,omitempty"`
	LastFor string `json:"last_by_subj,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"` // the first one from Seq on
}

// getAnswer is what it answers.
type getAnswer struct {
	Error   *jetstream.APIError `json:"error"`
	Message *struct {
		Subject string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Block   []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
		Time    time.Time `json:"time"`
	} `json:"message"`
}

// getWithin is how long a server that is there may take to answer.
const getWithin = 5 * time.Second

func getMsg(ctx context.Context, js jetstream.JetStream, stream string, r getRequest) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, getWithin)
	defer cancel()
	text, err := json.Marshal(r)
	if err != nil {
		return Message{}, err
	}
	m, err := js.Conn().RequestWithContext(ctx, apiSubject(js.Conn(), "STREAM.MSG.GET."+stream), text)
	if err != nil {
		return Message{}, err
	}
	return parseGot(m.Data)
}

func parseGot(text []byte) (Message, error) {
	var a getAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return Message{}, fmt.Errorf("read the server's answer: %w", err)
	}
	switch {
	case a.Error != nil && a.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Message{}, jetstream.ErrMsgNotFound
	case a.Error != nil && a.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return Message{}, jetstream.ErrStreamNotFound
	case a.Error != nil:
		return Message{}, a.Error
	case a.Message == nil:
		return Message{}, errors.New("the server's answer holds no message")
	}
	m := a.Message
	return Message{Subject: m.Subject, Seq: m.Seq, At: m.Time, Data: m.Data, Block: m.Block, Header: ParseHeader(m.Block)}, nil
}

// readHeaders returns the headers of messages by their sequence, without those that are gone. It asks for all at once.
func readHeaders(ctx context.Context, js jetstream.JetStream, stream string, seqs []uint64) (map[uint64]nats.Header, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, getWithin)
	defer cancel()
	inbox := js.Conn().NewInbox()
	sub, err := js.Conn().SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is gone, and then it is gone as well
	for _, seq := range seqs {
		text, err := json.Marshal(getRequest{Seq: seq})
		if err == nil {
			err = js.Conn().PublishRequest(apiSubject(js.Conn(), "STREAM.MSG.GET."+stream), inbox, text)
		}
		if err != nil {
			return nil, err
		}
	}
	headers := make(map[uint64]nats.Header, len(seqs))
	for range seqs {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch got, err := parseGot(m.Data); {
		case errors.Is(err, jetstream.ErrMsgNotFound): // deleted by hand just now
		case err != nil:
			return nil, err
		default:
			headers[got.Seq] = got.Header
		}
	}
	return headers, nil
}
