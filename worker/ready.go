package worker

import (
	"iter"
	"math/rand/v2"
	"time"
)

// ready holds the changes that can be called now. Each address of the gateway has its own queue, so that an address that is down
// holds up only its own agents.
type ready struct {
	queues []*addressQueue
	n      int          // changes in queues
	spare  addressQueue // sessions that the gateway refused and that are tried again; they go last
}

// addressQueue holds the changes that are ready for a call to one address.
type addressQueue struct {
	address string // empty: the configured gateway
	heap    heapOf[*change]
	blocked bool // in this call of dispatch
}

func (r *ready) len() int { return r.n }

// all returns every change that is ready, in no particular order.
func (r *ready) all() iter.Seq[*change] {
	return func(yield func(*change) bool) {
		for _, q := range r.queues {
			for _, c := range q.heap.items {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// put moves the change to the queue of the address.
func (r *ready) put(c *change, address string) {
	if c.queue != nil && c.queue != &r.spare && c.queue.address == address {
		return
	}
	r.remove(c)
	c.queue = r.of(address)
	c.queue.heap.put(c)
	r.n++
}

func (r *ready) putSpare(c *change) {
	if c.queue == &r.spare {
		return
	}
	r.remove(c)
	c.queue = &r.spare
	r.spare.heap.put(c)
}

func (r *ready) remove(c *change) {
	if c.queue == nil {
		return
	}
	c.queue.heap.remove(c)
	if c.queue != &r.spare {
		r.n--
	}
	c.queue = nil
}

func (r *ready) of(address string) *addressQueue {
	for _, q := range r.queues {
		if q.address == address {
			return q
		}
	}
	q := &addressQueue{address: address, heap: newReadyHeap()}
	r.queues = append(r.queues, q)
	return q
}

// next returns the most urgent change of all queues that are not blocked; nil: there is none.
func (r *ready) next() *change {
	var best *change
	for _, q := range r.queues {
		if c, ok := q.heap.first(); ok && !q.blocked && (best == nil || urgent(c, best)) {
			best = c
		}
	}
	return best
}

// elsewhere returns a random change of the queue that has not failed more often than the first one. Neighbours in a queue often
// belong to the same node of the gateway.
func (q *addressQueue) elsewhere() *change {
	first, _ := q.heap.first()
	for range 4 {
		if c := q.heap.items[rand.IntN(q.heap.Len())]; c.faults() <= first.faults() && c.attempts() <= first.attempts() {
			return c
		}
	}
	return first
}

// dispatch calls the gateway for the most urgent changes, as many as the gate allows.
func (l *loop) dispatch() {
	l.gateAgain = time.Time{}
	l.gate.Idle()
	for _, q := range l.ready.queues {
		q.blocked = false
	}
	for !l.stopping {
		c := l.ready.next()
		if c == nil {
			l.dispatchSpare()
			return
		}
		q := c.queue
		if l.gate.Doubts(q.address) {
			c = q.elsewhere()
		}
		session, signedIn := l.Sessions.Of(c.lane.agent)
		if !signedIn || l.address(session) != q.address {
			l.plan(c.lane) // the agent has just signed out, or moved to another address
			continue
		}
		ok, again, why := l.gate.Ask(q.address, c.lane.agent, l.now)
		if ok {
			l.call(c, session, q.address)
			continue
		}
		l.askAgain(again)
		if why.Site() {
			return
		}
		q.blocked = true
	}
}

// dispatchSpare tries sessions again that the gateway has refused. It is called if nothing else is ready.
func (l *loop) dispatchSpare() {
	for {
		c, ok := l.ready.spare.heap.first()
		if !ok {
			return
		}
		session, signedIn := l.Sessions.Of(c.lane.agent)
		if !signedIn || !c.refusedIn(session) {
			l.plan(c.lane)
			continue
		}
		address := l.address(session)
		ok, again, _ := l.gate.AskSpare(address, c.lane.agent, l.now)
		if !ok {
			l.askAgain(again)
			return
		}
		l.call(c, session, address)
		l.coverage.update(c.lane) // it no longer waits for a session
	}
}

func (s *schedule) askAgain(at time.Time) {
	if !at.IsZero() && (s.gateAgain.IsZero() || at.Before(s.gateAgain)) {
		s.gateAgain = at
	}
}

// address returns the name by which the gate knows the session's gateway; empty: the configured one.
func (w *Worker) address(s Session) string {
	if s.GatewayURL == "" || w.Address == nil {
		return s.GatewayURL
	}
	return w.Address(s.GatewayURL)
}

func newReadyHeap() heapOf[*change] {
	return heapOf[*change]{less: urgent, place: func(c *change) *int32 { return &c.ready }}
}
