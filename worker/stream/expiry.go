package stream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// expiries are the records of a bucket that have a time to live. The server removes them at its end without a message: a
// marker would need a stream that allows roll-ups, with which any writer could remove all records. So the follower looks for
// those whose time should be over. Whether one is gone is the server's word, so clocks need not agree.
type expiries map[string]expired

// expired is a record with the time at which it expires.
type expired struct {
	subject string
	seq     uint64
	at      time.Time
}

// note remembers a record that has a time to live, and forgets it once its key has another record.
func (e expiries) note(m *Message) {
	if live := timeToLive(m.Header.Get("Nats-TTL")); live > 0 && !isGone(m.Header) {
		e[m.Subject] = expired{m.Subject, m.Seq, m.At.Add(live)}
		return
	}
	delete(e, m.Subject)
}

// mostLooks bounds the requests of one look; the rest wait for the next one.
const mostLooks = 500

// look asks for the records whose time is over and reports those that are gone.
func (e expiries) look(ctx context.Context, js jetstream.JetStream, stream string, now time.Time, gone func(expired)) {
	asked := 0
	for subject, record := range e {
		if now.Before(record.at) {
			continue
		}
		if asked++; asked > mostLooks {
			return
		}
		switch _, err := GetLastMsg(ctx, js, stream, subject); {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			delete(e, subject)
			gone(record)
		case err != nil:
			return // the next look asks again
		}
	}
}

// timeToLive reads the header Nats-TTL as the server does: a duration in Go's notation, or seconds. It returns 0 for "never"
// and for what is neither.
func timeToLive(text string) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	live, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return live
}
