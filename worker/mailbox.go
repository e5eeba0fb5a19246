package worker

import (
	"context"
	"sync"
	"time"
)

// mailbox takes events from any goroutine to the event loop. push never blocks, so a NATS callback and the loop never wait for
// each other. The number of events is bounded by the Inbox's room, the calls in flight and the number of agents.
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

// take returns the events that came in. It reuses the memory of free, which is an earlier return value.
func (m *mailbox) take(free []event) []event {
	clear(free)
	m.mu.Lock()
	defer m.mu.Unlock()
	events := m.events
	m.events = free[:0]
	return events
}

// Inbox takes messages to the worker of one term and limits how many: the worker reads far ahead of the gateway, but only as
// fast as endings can be stored. Make one with NewInbox for each Term.
type Inbox struct {
	mail *mailbox

	mu   sync.Mutex // guards what follows
	load int        // changes that were delivered and neither wait in a lane nor have their endings stored
	dead int        // the same for changes that become dead letters, until their letters are stored
	room chan struct{}
}

// How many changes may be on their way from the stream to the lanes or the ledger. Dead letters take longest, and one message
// can cause tens of thousands of them, so they have room of their own.
const (
	inboxRoom = 2048
	deadRoom  = 32 << 10
)

// NewInbox returns an empty Inbox.
func NewInbox() *Inbox {
	return &Inbox{mail: newMailbox(), room: make(chan struct{}, 1)}
}

// Deliver passes on messages in the order of the stream. It never blocks.
func (i *Inbox) Deliver(batch []Delivery) {
	items := 0
	for k := range batch {
		items += batch[k].Message.Items
	}
	i.add(items)
	i.mail.push(delivered(batch))
}

// CaughtUp says that everything in the stream was delivered. It is needed if messages that were counted when the term began were
// gone before they could be delivered.
func (i *Inbox) CaughtUp() { i.mail.push(allRead{}) }

type allRead struct{}

func (allRead) apply(l *loop) {
	if l.backlog.behind {
		l.caughtUp()
	}
}

// WaitRoom waits until there is room for more messages, ctx ends or atMost has passed. It reports whether there is room.
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

// add adds n to the load; n may be negative.
func (i *Inbox) add(n int) { i.count(&i.load, n) }

// addDead does the same for changes that become dead letters.
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
