package worker

import (
	"slices"

	"idlepolicy/worker/ledger"
)

// outbox holds the results of one agent that are not stored yet. The ledger takes them one at a time, because each one expects
// the sequence of the one before it. A nil outbox is empty.
type outbox struct {
	queues    [2][]*entry    // by order
	tickets   uint64         // given out so far
	storing   *entry         // the one that the Journal has; nil: none
	ledger    *ledger.Ledger // as it will be when storing is stored
	reloading bool           // the Journal reads the agent's ledger again
	burying   int            // dead letters that are being made for the agent's last result, because an earlier owner may have left it out
	held      held
	sought    uint64 // the sequence of the last result whose dead letter was made before its change was read
}

// order is what an entry waits for, and names one of the queues of an outbox.
type order uint8

const (
	unordered order = iota // no call: endings of changes that never took effect, and reports
	ordered                // the endings of all changes that took effect before
)

// maxOvertaken is how many endings may wait for a call before unordered entries wait for it as well: the ledger lists each
// change that they overtake.
const maxOvertaken = 200

func (ln *lane) outbox() *outbox {
	if ln.out == nil {
		ln.out = &outbox{}
	}
	return ln.out
}

func (o *outbox) add(e *entry, to order) {
	o.tickets++
	e.ticket, e.queue = o.tickets, to
	o.queues[to] = append(o.queues[to], e)
}

// putBack returns an entry that was not stored to its place, which is still the first one.
func (o *outbox) putBack(e *entry) { o.queues[e.queue] = slices.Insert(o.queues[e.queue], 0, e) }

// remove takes out the entries for which f returns true.
func (o *outbox) remove(f func(*entry) bool) {
	if o == nil {
		return
	}
	for i := range o.queues {
		o.queues[i] = slices.DeleteFunc(o.queues[i], f)
	}
}

// next moves the next entry to storing and reports whether there is one. Entries leave in the order in which they came,
// whichever queue they are in, so that few changes are open below the last position that was stored. They overtake only an
// entry whose call is under way.
func (o *outbox) next() bool {
	from, a, b := ordered, o.first(ordered), o.first(unordered)
	switch {
	case a != nil && !a.pending && (b == nil || a.ticket < b.ticket):
	case b != nil && (a == nil || !a.pending || len(o.queues[ordered]) <= maxOvertaken):
		from = unordered
	default:
		return false
	}
	q := o.queues[from]
	o.storing, q[0] = q[0], nil
	if o.queues[from] = q[1:]; len(q) == 1 {
		o.queues[from] = nil // most are empty most of the time
	}
	return true
}

// first returns the first entry of a queue; nil: it is empty.
func (o *outbox) first(in order) *entry {
	if len(o.queues[in]) == 0 {
		return nil
	}
	return o.queues[in][0]
}

func (o *outbox) waiting() int { return len(o.queues[unordered]) + len(o.queues[ordered]) }

// busy reports whether the next entry has to wait.
func (o *outbox) busy() bool { return o != nil && (o.storing != nil || o.reloading || o.burying > 0) }

func (o *outbox) empty() bool { return o == nil || !o.busy() && o.waiting() == 0 }

// unsettled reports whether the ending of a change that took effect is not stored.
func (o *outbox) unsettled() bool {
	return o != nil && (o.first(ordered) != nil || o.reloading || o.storing != nil && o.storing.queue == ordered)
}
