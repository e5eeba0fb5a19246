// Package desk is the operator's side of a site: what idlectl does through NATS. Like all that speaks NATS it stands
// below worker/stream. It is a client like any other: it publishes changes, reads results, and asks the worker by
// request; nothing here takes part in the worker's own work.
package desk

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/access"
)

// Desk is one operator's connection to one site.
type Desk struct {
	By string // who asks, as user@host: the worker logs it beside what was done

	names messages.Names
	nc    *nats.Conn
	js    jetstream.JetStream
	where string // the servers, as they may be shown

	spared error // what the server denied and could be done without; nil: nothing
	plans  bool  // the bucket of plans is there
}

// requestFor is how long a server that is there may take to answer.
const requestFor = 5 * time.Second

// Open connects to NATS. If no server can be reached, the error is an *Unreachable, which says what would be right.
func Open(ctx context.Context, o stream.Options, names messages.Names) (*Desk, error) {
	nc, err := stream.Connect(ctx, o)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &Unreachable{err.Error()}
	}
	d, err := On(nc, names)
	if err != nil {
		nc.Close()
		return nil, err
	}
	if o.Context == "" {
		d.where = access.RedactAll(o.URLs)
	}
	return d, nil
}

// On is Open for a connection that is there already and stays the caller's: do not Close what it returns.
func On(nc *nats.Conn, names messages.Names) (*Desk, error) {
	js, err := stream.OpenJetStream(nc, jetstream.WithDefaultTimeout(requestFor), jetstream.WithPublishAsyncTimeout(requestFor),
		jetstream.WithPublishAsyncMaxPending(window))
	if err != nil {
		return nil, err
	}
	return &Desk{names: names, nc: nc, js: js, where: stream.Where(nc)}, nil
}

// ChangesStream returns the name of the stream of changes.
func (d *Desk) ChangesStream() string { return d.names.ChangesStream() }

// Close ends the connection.
func (d *Desk) Close() {
	d.js.CleanupPublisher()
	d.nc.Close()
}

// stream looks up a stream of the site, and so also finds out whether the site exists.
func (d *Desk) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := d.js.Stream(ctx, name)
	if err != nil {
		return nil, d.trouble("look up stream "+name, "stream "+name, err)
	}
	return s, stream.Foreign(s.CachedInfo().Config, d.names)
}

func (d *Desk) bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	kv, err := d.js.KeyValue(ctx, name)
	if err != nil {
		return nil, d.trouble("look up bucket "+name, "bucket "+name, err)
	}
	_, err = d.stream(ctx, "KV_"+name) // whose it is, the library does not tell of buckets
	return kv, err
}

// record returns the value of a key; nil: there is none. The library's own KV client takes a writer's headers for the server's.
func (d *Desk) record(ctx context.Context, kv jetstream.KeyValue, key string) ([]byte, error) {
	m, err := stream.GetLastMsg(ctx, d.js, "KV_"+kv.Bucket(), "$KV."+kv.Bucket()+"."+key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && isDeleted(m):
		return nil, nil
	case err != nil:
		return nil, d.trouble("read "+key, "bucket "+kv.Bucket(), err)
	}
	return append([]byte{}, m.Data...), nil // not nil, even if it is empty
}

// isDeleted reports whether a message of a bucket marks its key as deleted.
func isDeleted(m stream.Message) bool {
	return m.Header.Get("KV-Operation") != "" || m.Header.Get("Nats-Marker-Reason") != ""
}
