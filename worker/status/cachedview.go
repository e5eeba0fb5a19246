package status

import (
	"context"
	"sync"
	"time"

	"idlepolicy/worker/view"
)

const (
	// A view costs the event loop a loop over all agents, so one serves all who ask within this time.
	viewFresh = 500 * time.Millisecond
	// An event loop that has not answered by then is stuck: it never waits for anything.
	viewTimeout = 2 * time.Second
	// If no other process has answered by then, there is no owner. It is short because pages wait for it.
	farTimeout = 700 * time.Millisecond
)

// cachedView asks one question once for all who ask it at about the same time.
type cachedView[T any] struct {
	mu   sync.Mutex // guards last
	last *look[T]
}

// look is one question and its answer. Its fields may be read once done is closed.
type look[T any] struct {
	done  chan struct{}
	asked time.Time
	found T
	ok    bool
	late  bool // no answer came in time
}

// ask returns a fresh look. A question in progress serves all who come meanwhile.
func (o *cachedView[T]) ask(within time.Duration, question func(ctx context.Context) (T, bool)) *look[T] {
	o.mu.Lock()
	l, mine := o.last, false
	if l == nil || time.Since(l.asked) > viewFresh && l.over() {
		l, mine = &look[T]{done: make(chan struct{}), asked: time.Now()}, true
		o.last = l
	}
	o.mu.Unlock()
	if mine {
		l.run(within, question)
	}
	<-l.done // at most that long away
	return l
}

func (l *look[T]) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// run does not end with the request that started it, because others wait for the answer, too.
func (l *look[T]) run(within time.Duration, question func(ctx context.Context) (T, bool)) {
	defer close(l.done)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	l.found, l.ok = question(ctx)
	l.late = !l.ok && ctx.Err() != nil
}

// view returns this process's own view; ok is false while this process is not the owner.
func (s *Server) view() *look[view.View] {
	return s.near.ask(viewTimeout, s.Worker.View)
}

// siteView returns the owner's view, whichever process that is.
func (s *Server) siteView() (v view.View, ok bool) {
	if l := s.view(); l.ok || s.Owner == nil {
		return l.found, l.ok
	}
	l := s.far.ask(farTimeout, func(ctx context.Context) (view.View, bool) {
		v, ok := s.Owner.View(ctx)
		if ok {
			s.Metrics.results.learn(v.Last, v.Trouble)
		}
		return v, ok
	})
	return l.found, l.ok
}

// agent asks the owner about one agent.
func (s *Server) agent(ctx context.Context, id string) (v view.AgentView, ok bool) {
	near, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	if v, ok = s.Worker.Agent(near, id); ok || s.Owner == nil {
		return v, ok
	}
	far, cancel := context.WithTimeout(ctx, farTimeout)
	defer cancel()
	return s.Owner.Agent(far, id)
}

// covered asks the owner for agents with a desired policy.
func (s *Server) covered(ctx context.Context, q view.CoverageQuery) (page view.CoveragePage, ok bool) {
	near, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	if page, ok = s.Worker.Covered(near, q); ok || s.Owner == nil {
		return page, ok
	}
	far, cancel := context.WithTimeout(ctx, farTimeout)
	defer cancel()
	return s.Owner.Covered(far, q)
}

// replicas returns the processes of the site, this one among them.
func (s *Server) replicas() []view.Replica {
	if s.Replicas != nil {
		l := s.others.ask(farTimeout, func(ctx context.Context) ([]view.Replica, bool) { return s.Replicas(ctx), true })
		if len(l.found) > 0 {
			return l.found
		}
	}
	r := s.Role()
	return []view.Replica{{Name: s.Name, Role: r.Role, Since: r.Since, Owner: r.Owner, Trouble: r.Trouble}}
}
