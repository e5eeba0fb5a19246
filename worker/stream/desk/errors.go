package desk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream"
)

// Unreachable is the error where NATS, or a stream or bucket of the site, cannot be reached. Its text is one sentence.
type Unreachable struct{ sentence string }

// Error returns the sentence.
func (u *Unreachable) Error() string { return u.sentence }

// ErrNoWorker is returned where a question to the worker gets no answer.
var ErrNoWorker = errors.New("no worker answers: is one running with this prefix, and may it be asked by this user?")

// Declined is the error where a worker answers that it will not, or cannot, do what it was asked.
type Declined struct {
	Code string
	Why  string
}

// Error says why.
func (d *Declined) Error() string { return "the worker declines: " + d.Why }

// trouble turns an error of the library into a sentence for an operator. doing is what was tried, thing what would be
// missing.
func (d *Desk) trouble(doing, thing string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrBucketNotFound):
		return &Unreachable{fmt.Sprintf("no %s on %s: is the worker running with another IDLE_PREFIX?", thing, d.where)}
	case d.denied() != nil:
		return &Unreachable{fmt.Sprintf("%s on %s: %v", doing, d.where, plain(d.denied()))}
	case stream.ExplainNoJetStream(d.nc, err) != nil:
		return &Unreachable{stream.ExplainNoJetStream(d.nc, err).Error()}
	case isSilence(err):
		return &Unreachable{fmt.Sprintf("%s: NATS at %s does not answer (%v)", doing, d.where, plain(err))}
	}
	return fmt.Errorf("%s on %s: %w", doing, d.where, plain(err))
}

// denied is what the server denied last, unless it could be done without; nil: nothing. The server drops what it denies,
// so that all that the library sees is a time-out.
func (d *Desk) denied() error {
	if err := d.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && !errors.Is(err, d.spared) {
		return err
	}
	return nil
}

// isSilence tells whether the server was not heard, which may pass; any other error is its answer.
func isSilence(err error) bool {
	for _, silent := range []error{
		nats.ErrTimeout, context.DeadlineExceeded, nats.ErrNoResponders, nats.ErrConnectionClosed, nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrStaleConnection, jetstream.ErrNoStreamResponse,
		jetstream.ErrAsyncPublishTimeout, jetstream.ErrNoHeartbeat,
	} {
		if errors.Is(err, silent) {
			return true
		}
	}
	return false
}

// said keeps the cause for errors.Is and leaves the library's own prefix out of the text.
type said struct{ error }

func (s said) Error() string {
	text := strings.TrimPrefix(s.error.Error(), "nats: ")
	return strings.TrimPrefix(text, "API error: ")
}

func (s said) Unwrap() error { return s.error }

func plain(err error) error { return said{err} }
