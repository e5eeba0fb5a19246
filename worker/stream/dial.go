package stream

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/natscontext"

	"idlepolicy/worker/stream/access"
)

// dial connects to the URLs, or to those of a context of the nats command.
func dial(o Options, opts []nats.Option) (*nats.Conn, error) {
	if o.Context == "" {
		nc, err := nats.Connect(strings.Join(o.URLs, ","), opts...)
		if err != nil {
			return nil, fmt.Errorf("connect to NATS at %s: %w", access.RedactAll(o.URLs), sentence(err))
		}
		inDomain(nc, o.Domain)
		return nc, nil
	}
	nc, settings, err := natscontext.Connect(o.Context, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS with the context %q: %w", o.Context, sentence(err))
	}
	if settings.JSAPIPrefix != "" { // the worker's streams are never behind one
		nc.Close()
		return nil, fmt.Errorf("connect to NATS with the context %q: it has a JetStream API prefix; want a domain, or none of both", o.Context)
	}
	inDomain(nc, settings.JSDomain)
	return nc, nil
}
