package worker

import (
	"context"
	"sync"
	"time"
)

// mailbox takes events from anywhere to the event loop. push never blocks, so neither a NATS callback nor the loop
// itself can wait for the other; what comes in is bounded by the Inbox's room, by calls in flight and by the agents.
type mailbox struct {
	mu     sync.Mutex // guards events
	events []event
	signal chan struct{} // holds one token while events may be there
	closed chan struct{} // closed when the term has ended and nobody reads events any more
}

// event is something that happened; apply is called from the event loop.
type event interface{ apply(l *loop) }

func newMailbox() *mailbox {
	return &mailbox{signal: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (m *mailbox) push(e event) {
	m.mu.Lock()
	m.events = append(m.events, e)
	m.mu.Unlock()
	select {
	case m.signal <- struct{}{}:
	default: // the loop knows already
	}
}

// take returns what came in; free is an earlier answer whose room serves again.
func (m *mailbox) take(free []event) []event {
	clear(free)
	m.mu.Lock()
	defer m.mu.Unlock()
	events := m.events
	m.events = free[:0]
	return events
}

// Inbox takes messages to the worker of one term and says when there is room for more: the worker reads far ahead of
// the gateway, but only as fast as endings can be stored. Make one with NewInbox for each Term.
type Inbox struct {
	mail *mailbox

	mu   sync.Mutex // guards what follows
	load int        // changes handed over whose endings are not stored and that do not wait in a lane
	dead int        // of those that failed or cannot be used, until their dead letters are stored
	room chan struct{}
}

// How many changes may be between the stream and the lanes or the ledger. Those that become dead letters take longest,
// and tens of thousands of them can be in one message: they have room of their own, and hold up what is behind them only
// when that is full.
const (
	inboxRoom = 2048
	deadRoom  = 32 << 10
)

// NewInbox returns an empty Inbox.
func NewInbox() *Inbox {
	return &Inbox{mail: newMailbox(), room: make(chan struct{}, 1)}
}

// Deliver hands messages over in the order of the stream. It never blocks.
func (i *Inbox) Deliver(batch []Delivery) {
	items := 0
	for k := range batch {
		items += batch[k].Message.Items
	}
	i.add(items)
	i.mail.push(delivered(batch))
}

// CaughtUp says that everything the stream held was handed over, also where messages that it still counted as the term
// began were gone before they could be.
func (i *Inbox) CaughtUp() { i.mail.push(allRead{}) }

type allRead struct{}

func (allRead) apply(l *loop) {
	if l.backlog.behind {
		l.caughtUp()
	}
}

// WaitRoom waits until there is room for more, ctx ends or the time has passed, and reports whether there is.
func (i *Inbox) WaitRoom(ctx context.Context, atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for {
		i.mu.Lock()
		free := i.free()
		i.mu.Unlock()
		if free {
			return true
		}
		select {
		case <-i.room:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// add counts changes in (or out, below 0).
func (i *Inbox) add(n int) { i.count(&i.load, n) }

// addDead counts in changes that become dead letters.
func (i *Inbox) addDead(n int) { i.count(&i.dead, n) }

func (i *Inbox) free() bool { return i.load < inboxRoom && i.dead < deadRoom }

func (i *Inbox) count(what *int, n int) {
	i.mu.Lock()
	*what += n
	free := i.free()
	i.mu.Unlock()
	if free && n < 0 {
		select {
		case i.room <- struct{}{}:
		default:
		}
	}
}
