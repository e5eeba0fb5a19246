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

// Unreachable is the error if NATS, or a stream or bucket of the site, cannot be reached. Its text is one sentence.
type Unreachable struct{ sentence string }

// Error returns the sentence.
func (u *Unreachable) Error() string { return u.sentence }

// ErrNoWorker is returned if no worker answers.
var ErrNoWorker = errors.New("no worker answers: is one running with this prefix, and may it be asked by this user?")

// Declined is the error of a worker that refuses a request, or cannot do it.
type Declined struct {
	Code string
	Why  string
}

// Error returns the reason.
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
		return &Unreachable{fmt.Sprintf("%s on %s: %v; %s", doing, d.where, plain(d.denied()), d.whoMay(d.denied()))}
	case stream.ExplainNoJetStream(d.nc, err) != nil:
		return &Unreachable{stream.ExplainNoJetStream(d.nc, err).Error()}
	case isTimeout(err):
		return &Unreachable{fmt.Sprintf("%s: NATS at %s does not answer (%v)", doing, d.where, plain(err))}
	}
	return fmt.Errorf("%s on %s: %w", doing, d.where, plain(err))
}

// denied returns what the server denied last, unless that is optional; nil: nothing. The server drops what it denies, so the library
// sees only a time-out.
func (d *Desk) denied() error {
	if err := d.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && !errors.Is(err, d.spared) {
		return err
	}
	return nil
}

// whoMay names the user who may do what the server denied.
func (d *Desk) whoMay(denied error) string {
	if strings.Contains(denied.Error(), `"`+d.names.Changes()) {
		return fmt.Sprintf("the users %[1]s-publisher and %[1]s-operator of deploy/nats/accounts.conf may", d.names.Prefix)
	}
	return fmt.Sprintf("the user %s-operator of deploy/nats/accounts.conf may", d.names.Prefix)
}

// isTimeout reports whether the server did not answer, which may be temporary; any other error is its answer.
func isTimeout(err error) bool {
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

// messageError is an error with a text of ours, which unwraps to the library's.
type messageError struct{ error }

func (s messageError) Error() string {
	text := strings.TrimPrefix(s.error.Error(), "nats: ")
	return strings.TrimPrefix(text, "API error: ")
}

func (s messageError) Unwrap() error { return s.error }

func plain(err error) error { return messageError{err} }
