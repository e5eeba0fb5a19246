package stream

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What is missing if a server accepts the connection but has no JetStream for this user.
const (
	noJetStream = "the NATS server at %s offers no JetStream, which keeps the changes and their results: start it with " +
		"nats-server -js, or with jetstream {} in its configuration; if it is a leaf node, set IDLE_NATS_DOMAIN to the JetStream domain " +
		"of the servers behind it"
	noDomain = "no JetStream domain %[2]q answers at the NATS server at %[1]s: is IDLE_NATS_DOMAIN right, and has its leaf node a " +
		"connection to the servers of that domain?"
	noJetStreamHere = "the NATS server at %s offers no JetStream to the account of this user, and it keeps the changes and " +
		"their results: write jetstream: enabled into that account"
)

// ExplainNoJetStream returns a sentence for people if err means that there is no JetStream for this user, or nil.
func ExplainNoJetStream(nc *nats.Conn, err error) error {
	code := jetstream.ErrorCode(0)
	if answer, ok := errors.AsType[*jetstream.APIError](err); ok {
		code = answer.ErrorCode
	}
	switch domain := domainOf(nc); {
	case domain != "" && errors.Is(err, nats.ErrNoResponders):
		return noJetStreamError{fmt.Sprintf(noDomain, Where(nc), domain), err}
	case errors.Is(err, nats.ErrNoResponders), code == jetstream.JSErrCodeJetStreamNotEnabled:
		return noJetStreamError{fmt.Sprintf(noJetStream, Where(nc)), err}
	case code == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return noJetStreamError{fmt.Sprintf(noJetStreamHere, Where(nc)), err}
	}
	return nil
}

// noJetStreamError explains an error of the library in a sentence.
type noJetStreamError struct {
	sentence string
	error
}

func (e noJetStreamError) Error() string { return e.sentence }
func (e noJetStreamError) Unwrap() error { return e.error }
