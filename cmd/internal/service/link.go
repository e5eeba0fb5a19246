package service

import (
	"context"
	"sync"

	"idlepolicy/worker/status"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/view"
)

// link is the state of the start for probes and the page, which are served before NATS can be reached.
type link struct {
	mu        sync.Mutex // guards what follows
	connected func() bool
	asks      *stream.Service
	programs  *desk.Desk // what the HTTP API goes through
	trouble   string     // what keeps the process from starting
}

func (l *link) waits(trouble string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = trouble
}

func (l *link) made(connected func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected, l.trouble = connected, ""
}

func (l *link) serves(asks *stream.Service, programs *desk.Desk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks, l.programs, l.trouble = asks, programs, ""
}

func (l *link) desk() *desk.Desk {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.programs
}

func (l *link) isConnected() bool {
	l.mu.Lock()
	connected := l.connected
	l.mu.Unlock()
	return connected != nil && connected()
}

func (l *link) service() *stream.Service {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asks
}

// role returns the role of the process, or why it has none yet.
func (l *link) role(st stream.OwnerState) status.Role {
	if st.Role != "" {
		return status.Role{Role: st.Role, Owner: st.Owner, Trouble: st.Trouble, Since: st.Since}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return status.Role{Role: view.RoleStarting, Trouble: l.trouble}
}

func (l *link) replicas(ctx context.Context) []view.Replica {
	on := l.service()
	if on == nil {
		return nil
	}
	return on.Replicas(ctx)
}

// View asks the owner for its view, whichever process that is. It implements status.Worker.
func (l *link) View(ctx context.Context) (v view.View, ok bool) {
	if on := l.service(); on != nil {
		return on.View(ctx)
	}
	return v, false
}

// Agent is View for one agent.
func (l *link) Agent(ctx context.Context, id string) (v view.AgentView, ok bool) {
	if on := l.service(); on != nil {
		return on.Agent(ctx, id)
	}
	return v, false
}

// Covered is View for a page of agents with a desired policy.
func (l *link) Covered(ctx context.Context, q view.CoverageQuery) (page view.CoveragePage, ok bool) {
	if on := l.service(); on != nil {
		return on.Covered(ctx, q)
	}
	return page, false
}
