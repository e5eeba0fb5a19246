package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Reader reads a stream in order, as the library's ordered consumer does: it recovers from reconnects, deleted consumers and killed
// servers by itself, and returns each message once. Unlike the library, it never takes a publisher's header for a status of the
// server. It may be used by one goroutine at a time.
type Reader struct {
	js     jetstream.JetStream
	stream string
	cfg    jetstream.OrderedConsumerConfig

	pending uint64           // messages there were when it was opened
	status  chan nats.Status // of the connection

	name  string             // of the consumer; what follows is about it
	sub   *nats.Subscription // nil: there is none at the moment
	msgs  chan *nats.Msg
	inbox string
	batch int       // messages to ask for at once
	asked int       // requests so far; each has a subject of its own below inbox
	left  int       // messages that were asked for and have not come
	count uint64    // of the last message, as the consumer counts
	seq   uint64    // of the last message in the stream; 0: none yet
	heard time.Time // when the server said anything
	tried time.Time // when a consumer was last asked for
	why   error     // why there is none
}

// Errors of [Reader.Next] after which it may be called again.
var (
	ErrQuiet = errors.New("no message came")                     // the server answers
	ErrDeaf  = errors.New("the server does not send the stream") // wraps why
)

const (
	readAtOnce   = 512
	readFor      = 30 * time.Second
	readBeat     = 2 * time.Second // twice that without a word of the server, and the consumer is created again
	readAgain    = 250 * time.Millisecond
	readerIsGone = 10 * time.Second // after which the server deletes a consumer that nobody reads from
)

// OpenReader creates a Reader. It fails with jetstream.ErrStreamNotFound if there is no such stream. Stop must be called.
//
// HeadersOnly is not passed on: nats-server 2.15.2 panics if it leaves out the body of a message whose header block has
// fewer than two bytes, and anybody who may publish can send one.
func OpenReader(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig) (*Reader, error) {
	r := &Reader{js: js, stream: stream, cfg: cfg, status: js.Conn().StatusChanged(nats.RECONNECTING, nats.CLOSED)}
	info, err := r.open(ctx)
	if err != nil {
		js.Conn().RemoveStatusListener(r.status)
		return nil, err
	}
	r.pending = info.NumPending
	return r, nil
}

// Pending returns how many messages there were when the Reader was opened.
func (r *Reader) Pending() uint64 { return r.pending }

// NumPending asks the server how many messages are still to come.
func (r *Reader) NumPending(ctx context.Context) (uint64, error) {
	c, err := r.js.Consumer(ctx, r.stream, r.name)
	if err != nil {
		return 0, err
	}
	return c.CachedInfo().NumPending, nil
}

// Stop ends the reading and deletes the consumer.
func (r *Reader) Stop() {
	r.js.Conn().RemoveStatusListener(r.status)
	if r.sub == nil {
		return
	}
	r.lose(nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.js.DeleteConsumer(ctx, r.stream, r.name) // otherwise it is deleted after readerIsGone
}

// Next returns the next message. If none comes within that time, the error is ErrQuiet, or ErrDeaf if the server does not
// answer; both leave the Reader as it is. Any other error is final.
func (r *Reader) Next(ctx context.Context, within time.Duration) (Message, error) {
	if m, ok := r.buffered(); ok {
		return m, nil
	}
	enough := time.NewTimer(within)
	defer enough.Stop()
	for {
		if err := r.ready(ctx); err != nil {
			return Message{}, err
		}
		deaf := time.NewTimer(time.Until(r.heard.Add(2 * readBeat)))
		if r.sub == nil {
			deaf.Reset(time.Until(r.tried.Add(readAgain)))
		}
		var m *nats.Msg
		select {
		case m = <-r.msgs:
		case status, open := <-r.status:
			if !open || status == nats.CLOSED {
				return Message{}, nats.ErrConnectionClosed
			}
			r.lose(errReconnected)
			r.tried = time.Time{}
		case <-deaf.C:
			if r.sub != nil {
				r.lose(errNoHeartbeat)
			}
		case <-enough.C:
			deaf.Stop()
			if r.sub == nil {
				return Message{}, fmt.Errorf("%w: %w", ErrDeaf, cmp.Or(r.why, errNoHeartbeat))
			}
			return Message{}, ErrQuiet
		case <-ctx.Done():
			deaf.Stop()
			return Message{}, ctx.Err()
		}
		deaf.Stop()
		if m == nil {
			continue
		}
		if got, ok := r.take(m); ok {
			return got, nil
		}
	}
}

var errNoHeartbeat = errors.New("no heartbeat came from it")

// buffered returns a message that has arrived already.
func (r *Reader) buffered() (Message, bool) {
	for r.sub != nil {
		select {
		case m := <-r.msgs:
			if got, ok := r.take(m); ok {
				return got, true
			}
		default:
			return Message{}, false
		}
	}
	return Message{}, false
}

// ready makes sure that there is a consumer and that messages are requested from it. It returns final errors only.
func (r *Reader) ready(ctx context.Context) error {
	if r.sub == nil && time.Since(r.tried) >= readAgain {
		if _, err := r.open(ctx); err != nil {
			if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrConnectionClosed) || ctx.Err() != nil {
				return cmp.Or(ctx.Err(), err)
			}
			r.why = err
		}
	}
	if r.sub == nil || r.left > r.batch/2 { // so that the server need not wait for the next request
		return nil
	}
	r.asked++
	text, _ := json.Marshal(pullRequest{Expires: readFor, Batch: r.batch, Heartbeat: readBeat}) // numbers only: never fails
	err := r.js.Conn().PublishRequest(apiSubject(r.js.Conn(), "CONSUMER.MSG.NEXT."+r.stream+"."+r.name), r.request(), text)
	if err != nil {
		r.lose(plain(err))
		return nil
	}
	r.left += r.batch
	return nil
}

// request is the reply subject of the last request.
func (r *Reader) request() string { return r.inbox + "." + strconv.Itoa(r.asked) }

// take returns the message in m if it is the next one of the stream.
func (r *Reader) take(m *nats.Msg) (Message, bool) {
	r.heard = time.Now()
	if !isDelivery(m) {
		r.onStatus(m)
		return Message{}, false
	}
	meta, err := m.Metadata()
	if err != nil || meta.Sequence.Consumer != r.count+1 { // something was lost on its way
		r.lose(errLostCount)
		return Message{}, false
	}
	r.left--
	r.count, r.seq = meta.Sequence.Consumer, meta.Sequence.Stream
	return Message{
		Subject: m.Subject, Seq: r.seq, At: meta.Timestamp, Data: m.Data, Header: m.Header, Undecoded: isUndecoded(m),
		Pending: meta.NumPending,
	}, true
}

// onStatus handles a status of the server.
func (r *Reader) onStatus(m *nats.Msg) {
	about := m.Header.Get("Description")
	switch status := m.Header.Get("Status"); {
	case status == "100": // it is there
	case status == "404", status == "408", strings.EqualFold(about, "batch completed"):
		if m.Subject == r.request() { // all before it are over as well
			r.left = 0
		}
	default: // the consumer was deleted, or its server is gone
		r.lose(fmt.Errorf("%s %s", status, about))
	}
}

// lose gives up the consumer. Another one continues after the last message.
func (r *Reader) lose(why error) {
	if r.sub != nil {
		_ = r.sub.Unsubscribe() // fails if the connection is gone, and then it is gone as well
	}
	r.sub, r.msgs, r.why = nil, nil, why
}

// open creates the consumer, or another one in its place.
func (r *Reader) open(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	r.tried = time.Now()
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	c, err := r.js.CreateConsumer(ctx, r.stream, r.consumer())
	if err != nil {
		return nil, err
	}
	info := c.CachedInfo()
	r.batch = readAtOnce
	if most := info.Config.MaxRequestBatch; most > 0 { // of the server or the account
		r.batch = min(r.batch, most)
	}
	r.name, r.inbox, r.msgs = info.Name, r.js.Conn().NewInbox(), make(chan *nats.Msg, 2*readAtOnce+64)
	if r.sub, err = r.js.Conn().ChanSubscribe(r.inbox+".*", r.msgs); err != nil {
		return nil, err
	}
	r.left, r.count, r.heard, r.why = 0, 0, time.Now(), nil
	if r.cfg.DeliverPolicy == jetstream.DeliverNewPolicy {
		r.seq = max(r.seq, info.Delivered.Stream) // new is what came after the first consumer was created
	}
	return info, nil
}

// consumer says which consumer is to be created.
func (r *Reader) consumer() jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Name: nuid.Next(), AckPolicy: jetstream.AckNonePolicy, Replicas: 1, MemoryStorage: true,
		InactiveThreshold: cmp.Or(r.cfg.InactiveThreshold, readerIsGone), DeliverPolicy: r.cfg.DeliverPolicy,
		OptStartSeq: r.cfg.OptStartSeq, OptStartTime: r.cfg.OptStartTime,
	}
	switch {
	case len(r.cfg.FilterSubjects) == 1: // it is part of the subject of the request, which permissions may name
		c.FilterSubject = r.cfg.FilterSubjects[0]
	case len(r.cfg.FilterSubjects) == 0 && c.DeliverPolicy == jetstream.DeliverLastPerSubjectPolicy: // which wants one
		c.FilterSubject = ">"
	default:
		c.FilterSubjects = r.cfg.FilterSubjects
	}
	if r.seq > 0 {
		c.DeliverPolicy, c.OptStartSeq, c.OptStartTime = jetstream.DeliverByStartSequencePolicy, r.seq+1, nil
	}
	return c
}
