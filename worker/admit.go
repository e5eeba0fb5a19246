package worker

import (
	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// delivered is the event that messages came in.
type delivered []Delivery

func (ds delivered) apply(l *loop) {
	items := 0
	for i := range ds {
		items += ds[i].Message.Items
		if !l.stopping {
			l.admit(&ds[i])
		}
	}
	l.term.Inbox.add(-items)
}

// admit brings the items of a message into the lanes, in their order.
func (l *loop) admit(d *Delivery) {
	defer l.arrived(d)
	l.backlog.readTo = max(l.backlog.readTo, d.Seq)
	if m := l.backlog.messages[d.Seq]; m != nil {
		m.receipt = d.Receipt // it was redelivered while its changes are in the lanes
		return
	}
	m := &message{receipt: d.Receipt, hash: ledger.HashID(d.MsgID), holders: 1, items: int32(d.Message.Items)}
	if d.TraceParent != "" {
		m.trace = &traceContext{d.TraceParent, d.TraceState}
	}
	l.backlog.messages[d.Seq] = m
	changes, rejected := d.Message.Changes, d.Message.Rejected
	for len(changes)+len(rejected) > 0 {
		if len(rejected) == 0 || (len(changes) > 0 && changes[0].Index < rejected[0].Index) {
			l.admitOne(m, &changes[0])
			changes = changes[1:]
		} else {
			l.reject(m, &rejected[0])
			rejected = rejected[1:]
		}
	}
	l.batches.admitted(m)
	l.backlog.release(m)
}

func (l *loop) admitOne(m *message, mc *messages.Change) {
	if l.skips(m, mc.AgentID) {
		return
	}
	if mc.Cancel {
		l.cancel(m, mc)
	} else {
		l.enter(m, mc)
	}
}

// skips reports whether an item is left in the stream for the next term, because its agent's results cannot be stored. Once one
// is left there, all later ones are as well, because they must not overtake it.
func (l *loop) skips(m *message, agent string) bool {
	ln := l.lanes[agent]
	if ln == nil || !ln.skipped && (ln.out == nil || !ln.out.held.stuck || ln.out.held.load+ln.out.held.dead < laneMost) {
		return false
	}
	ln.skipped = true
	m.hold() // and never released in this term
	return true
}

// reject ends an item that cannot be used.
func (l *loop) reject(m *message, r *messages.Rejection) {
	if l.skips(m, r.AgentID) {
		return
	}
	c := &change{
		lane: l.lanes.of(r.AgentID), msg: m, id: r.ID, flag: r.Flag, reason: r.Reason, source: r.Source,
		index: int32(r.Index), member: l.batches.join(m, r.BatchID, r.BatchTotal),
	}
	m.hold()
	if !l.knownBefore(c) {
		l.refuse(c, r.Message)
	}
}

// arrived is called after each message. It notices when the term has read everything that was unfinished when it began. It does
// not count messages, because one may come twice.
func (l *loop) arrived(d *Delivery) {
	l.backlog.readTo = max(l.backlog.readTo, d.Seq+1)
	if l.backlog.behind && (d.Seq >= l.term.LastSeq || d.Pending == 0) {
		l.caughtUp()
	}
}
