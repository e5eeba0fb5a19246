package stream

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// handle keeps what it takes to ask a stream something: looking it up costs a round trip each time.
type handle struct {
	js   jetstream.JetStream
	name string

	mu sync.Mutex // guards what follows
	s  jetstream.Stream
}

func newHandle(js jetstream.JetStream, name string) *handle { return &handle{js: js, name: name} }

func (h *handle) get(ctx context.Context) (jetstream.Stream, error) {
	h.mu.Lock()
	s := h.s
	h.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := h.js.Stream(ctx, h.name)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.s = s
	h.mu.Unlock()
	return s, nil
}

// forget has the stream looked up again: it may be missing, or another one by now.
func (h *handle) forget() {
	h.mu.Lock()
	h.s = nil
	h.mu.Unlock()
}
