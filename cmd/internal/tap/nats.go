package tap

import (
	"context"
	"errors"
	"sync/atomic"

	"idlepolicy/worker/stream"
)

// natsStore is the Store of a process, which may not be connected to NATS yet.
type natsStore struct {
	registry atomic.Pointer[stream.Registry]
}

var errNotConnected = errors.New("not connected to NATS")

func (n *natsStore) use(r *stream.Registry) { n.registry.Store(r) }

func (n *natsStore) connected() bool {
	r := n.registry.Load()
	return r != nil && r.Connected()
}

// open returns the connection, unless it is down: then nothing needs to be tried.
func (n *natsStore) open() (*stream.Registry, error) {
	r := n.registry.Load()
	if r == nil || !r.Connected() {
		return nil, errNotConnected
	}
	return r, nil
}

// Get implements Store.
func (n *natsStore) Get(ctx context.Context, agent string) (Record, error) {
	r, err := n.open()
	if err != nil {
		return Record{}, err
	}
	rec, err := r.Get(ctx, agent)
	return Record(rec), err
}

// Put implements Store.
func (n *natsStore) Put(ctx context.Context, agent string, rec Record) (uint64, error) {
	r, err := n.open()
	if err != nil {
		return 0, err
	}
	rev, err := r.Put(ctx, agent, stream.SessionRecord(rec))
	if errors.Is(err, stream.ErrRevision) {
		return 0, ErrConflict
	}
	return rev, err
}

// Agents implements Store.
func (n *natsStore) Agents(ctx context.Context) ([]string, error) {
	r, err := n.open()
	if err != nil {
		return nil, err
	}
	return r.Agents(ctx)
}

// Ask implements Store.
func (n *natsStore) Ask(ctx context.Context, agents []string) error {
	r, err := n.open()
	if err != nil {
		return err
	}
	return r.Ask(ctx, agents)
}
