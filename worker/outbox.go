package worker

import (
	"slices"

	"idlepolicy/worker/ledger"
)

// outbox is the results of one agent that are on their way to the ledger, which takes them one at a time: each expects the
// sequence of the last. Reading from a nil outbox finds it empty.
type outbox struct {
	lines     [2][]*entry
	tickets   uint64 // given out so far
	storing   *entry
	ledger    *ledger.Ledger // as it will be when storing is stored
	reloading bool
	burying   int // dead letters of the agent's last result that are being made, because an owner before may have left it out
	held      held
	sought    uint64 // the sequence of the last result for which that was done before its change came
}

// line is one of the lines of an outbox.
type line uint8

const (
	unordered line = iota // endings that wait for no call under way, and what is told
	ordered               // endings in the order in which their changes took effect
)

// maxOvertaken is how many endings may stand behind a call under way before results that wait for no call wait all the
// same: what they overtake is listed in the header of each of them.
const maxOvertaken = 200

func (ln *lane) outbox() *outbox {
	if ln.out == nil {
		ln.out = &outbox{}
	}
	return ln.out
}

func (o *outbox) add(e *entry, to line) {
	o.tickets++
	e.ticket, e.line = o.tickets, to
	o.lines[to] = append(o.lines[to], e)
}

// putBack gives an entry that was not stored its place again, which is still the first one.
func (o *outbox) putBack(e *entry) { o.lines[e.line] = slices.Insert(o.lines[e.line], 0, e) }

// drop takes out those that f finds.
func (o *outbox) drop(f func(*entry) bool) {
	if o == nil {
		return
	}
	for i := range o.lines {
		o.lines[i] = slices.DeleteFunc(o.lines[i], f)
	}
}

// next takes the first result out of its line, for being stored. They go out as they were put in, whichever line they are
// in, so that little is open below the last position that was told of; only a call under way can be overtaken.
func (o *outbox) next() bool {
	from, a, b := ordered, o.first(ordered), o.first(unordered)
	switch {
	case a != nil && !a.undecided && (b == nil || a.ticket < b.ticket):
	case b != nil && (a == nil || !a.undecided || len(o.lines[ordered]) <= maxOvertaken):
		from = unordered
	default:
		return false
	}
	q := o.lines[from]
	o.storing, q[0] = q[0], nil
	if o.lines[from] = q[1:]; len(q) == 1 {
		o.lines[from] = nil // most are empty most of the time
	}
	return true
}

// first returns the first one in the line, nil if there is none.
func (o *outbox) first(in line) *entry {
	if len(o.lines[in]) == 0 {
		return nil
	}
	return o.lines[in][0]
}

func (o *outbox) waiting() int { return len(o.lines[unordered]) + len(o.lines[ordered]) }

// busy reports whether the next result has to wait for the last one.
func (o *outbox) busy() bool { return o != nil && (o.storing != nil || o.reloading || o.burying > 0) }

func (o *outbox) empty() bool { return o == nil || !o.busy() && o.waiting() == 0 }

// unsettled reports whether the ending of a change that took effect is not stored.
func (o *outbox) unsettled() bool {
	return o != nil && (o.first(ordered) != nil || o.reloading || o.storing != nil && o.storing.line == ordered)
}
