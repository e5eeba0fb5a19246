package worker

import (
	"cmp"
	"fmt"
	"slices"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// lane holds the changes and results of one agent. Every agent that ever had a result has one, so it is kept small.
type lane struct {
	agent     string
	ledger    *ledger.Ledger  // as stored; never nil
	ahead     *ledger.Effect  // the newest change that took effect, if the ledger does not have it yet; else nil
	live      *change         // the change that took effect and has not ended; nil: none
	inFlight  *change         // the change of the call under way: live, one that was overtaken, or one that is reapplied; nil: none
	later     []*change       // those that wait for their instant
	reapply   *change         // the policy in force while it waits to be reapplied; nil: none
	unended   []*change       // all changes whose ending is not stored yet, in the order of their positions
	out       *outbox         // nil: all results are stored
	ends      int64           // when the policy in force ends, in Unix nanoseconds, while the lane is in coverage.ends
	endsPlace int32           // its place in coverage.ends, from 1; 0: not there
	cover     view.CoverState // as coverage counts it
	skipped   bool            // its further changes are left in the stream, because its results are stuck
	held      bool            // until the hold after a takeover is over; hold.go says who is held
}

// newest returns the change that took effect last, stored or not.
func (ln *lane) newest() ledger.Effect {
	if ln.ahead != nil {
		return *ln.ahead
	}
	return ln.ledger.Newest
}

func (ln *lane) setNewest(e ledger.Effect) {
	ln.ahead = nil
	if e != ln.ledger.Newest {
		ln.ahead = &e
	}
}

// setLedger replaces the ledger by what was stored or read. A newest change that is not in it yet is kept.
func (ln *lane) setLedger(stored *ledger.Ledger) {
	newest := ln.newest()
	if newest.Pos == stored.Newest.Pos {
		newest.Ended = stored.Newest.Ended
	}
	ln.ledger = stored
	ln.setNewest(newest)
}

// maxLater is how many changes of one agent may wait for their instant: the header of each of its results lists them all, and holds
// 64 KiB.
const maxLater = 1000

// lanes are the lanes by agent.
type lanes map[string]*lane

// of returns the agent's lane, a new one if it has none.
func (ls lanes) of(agent string) *lane {
	ln := ls[agent]
	if ln == nil {
		ln = &lane{agent: agent, ledger: &ledger.Ledger{}}
		ls[agent] = ln
	}
	return ln
}

// enter brings a change into its lane, unless it has ended or repeats an earlier one.
func (l *loop) enter(m *message, mc *messages.Change) {
	ln := l.lanes.of(mc.AgentID)
	c := &change{
		lane: ln, msg: m, id: mc.ID, flag: mc.Flag, reason: mc.Reason, source: mc.Source, index: int32(mc.Index),
	}
	c.date(mc, &l.policy)
	c.member = l.batches.join(m, mc.BatchID, mc.BatchTotal)
	m.hold()
	if l.knownBefore(c) {
		return
	}
	open, _ := ln.ledger.OpenAs(&l.term.Stream, c.published(&l.term.Stream))
	c.reported, c.recorded, c.rev = open.Told, open.Told, open.Rev
	if l.term.LastSeq >= m.receipt.Seq {
		ln.held = true
	}
	l.replace(ln, c)
	switch {
	case c.later && len(ln.later) >= maxLater:
		l.refuse(c, fmt.Sprintf("effective_at: the agent has %d changes that wait for their "+
			"instant already, and more are not kept", maxLater))
	case c.later && c.at > l.now.UnixNano():
		ln.later = append(ln.later, c)
		l.waitFor(c, view.Instant)
		l.wakeAt(c, c.at)
		l.reportWaiting(c, view.Instant)
	case c.later && l.backlog.behind:
		ln.later = append(ln.later, c) // messages that are not read yet may have taken effect before it
		l.waitFor(c, view.Reading)
		l.backlog.overdue = append(l.backlog.overdue, c)
	default:
		l.takeEffect(c)
	}
	l.plan(ln)
}

// knownBefore reports whether the change needs no ending: it has one, or it repeats an earlier message. Otherwise it adds the change
// to the lane's unended ones.
func (l *loop) knownBefore(c *change) bool {
	ln := c.lane
	switch {
	case ln.ledger.HasEnded(&l.term.Stream, c.published(&l.term.Stream)):
		c.member.endedBefore()
		l.letters.buryLast(ln, c)
	case ln.ledger.SameAsRecent(c.msg.hash, c.msg.receipt.Stored):
		if c.member != nil {
			c.member.add(-1)
		}
	default:
		ln.join(c)
		return false
	}
	l.backlog.release(c.msg)
	return true
}

// join adds a change to the unended ones. One message may bring a hundred thousand changes for one agent. They are added at the end
// and removed near the beginning or the end, and both must be fast.
func (ln *lane) join(c *change) {
	i, _ := ln.find(c)
	ln.unended = slices.Insert(ln.unended, i, c)
}

// leave removes a change whose ending is stored.
func (ln *lane) leave(c *change) {
	i, ok := ln.find(c)
	switch {
	case !ok:
	case len(ln.unended) == 1:
		ln.unended = nil
	case i < len(ln.unended)/2:
		copy(ln.unended[1:], ln.unended[:i])
		ln.unended[0], ln.unended = nil, ln.unended[1:]
	default:
		ln.unended = slices.Delete(ln.unended, i, i+1)
	}
}

func (ln *lane) find(c *change) (int, bool) {
	return slices.BinarySearchFunc(ln.unended, c, func(a, b *change) int { return a.pos(0).Compare(b.pos(0)) })
}

// replace withdraws the change with the same id that was waiting for its instant when c was published.
func (l *loop) replace(ln *lane, c *change) {
	for _, old := range slices.Clone(ln.later) {
		if old.id == c.id && old.at > c.msg.receipt.Stored {
			l.withdraw(old, messages.Superseded, "replaced by the change of the same id that was published later", c.id)
		}
	}
}

// takeEffect makes the change the agent's live one, unless a newer one has taken effect already. It stays in ln.later until those
// with earlier instants have taken effect, because their endings list all open changes.
func (l *loop) takeEffect(c *change) {
	ln := c.lane
	l.dueBefore(ln, c)
	l.leaveLater(c)
	ln.setNewest(l.term.Stream.Relocate(ln.newest(), c.published(&l.term.Stream)))
	e := ledger.Effect{At: c.at, Pos: c.pos(l.term.Stream.Incarnation), ID: c.id, Batch: c.batchID(), Later: c.later}
	n := ln.newest()
	if !e.Later && !n.Later {
		e.At = max(e.At, n.At)
	}
	// It was published while the one with the same id was still waiting, so it replaces that one although it is read only now.
	if n.Later && n.ID == c.id && n.At > c.msg.receipt.Stored && e.Pos.Compare(n.Pos) > 0 {
		e.At = max(e.At, n.At)
	}
	if e.Pos != n.Pos && n.Pos != (ledger.Position{}) && !e.Newer(n) {
		l.end(c, messages.Superseded, "a newer change for this agent had taken effect", n.ID)
		return
	}
	ln.setNewest(e)
	old := ln.live
	ln.live = c
	l.noteDebounce(ln, old != nil && ln.inFlight != old)
	l.drop(ln.reapply)
	ln.reapply = nil
	if old != nil {
		l.overtake(old, c)
	}
}

// dueBefore lets the agent's waiting changes take effect that have an earlier instant than c.
func (l *loop) dueBefore(ln *lane, c *change) {
	var due []*change
	for _, w := range ln.later {
		if w != c && cmp.Or(cmp.Compare(w.at, c.at), w.pos(0).Compare(c.pos(0))) < 0 {
			due = append(due, w)
		}
	}
	if len(due) == 0 {
		return
	}
	slices.SortFunc(due, byInstant)
	for _, w := range due {
		if slices.Contains(ln.later, w) {
			l.takeEffect(w)
		}
	}
}

func byInstant(a, b *change) int {
	return cmp.Or(cmp.Compare(a.at, b.at), a.pos(0).Compare(b.pos(0)))
}

// overtake ends the live change because a newer one took its place. If its call is under way, its ending depends on the answer, and
// a pending entry keeps its place in the outbox.
func (l *loop) overtake(old, by *change) {
	if old.lane.inFlight != old {
		l.end(old, messages.Superseded, "a newer change for this agent took effect", by.id)
		return
	}
	t := old.tries()
	t.overtaken, t.overtakenBy = by, by.id
	t.place = &entry{change: old, pending: true}
	l.enqueue(t.place, ordered)
}

// caughtUp is called when the backlog has been read. Now it is known that no earlier change is missing, so the overdue changes take
// effect.
func (l *loop) caughtUp() {
	l.backlog.behind = false
	for _, c := range l.backlog.overdue {
		if !c.ended && slices.Contains(c.lane.later, c) {
			l.takeEffect(c)
			l.plan(c.lane)
		}
	}
	l.backlog.overdue = nil
	for _, b := range l.batches.open {
		b.closeIfComplete()
	}
	l.wakeReapplies()
}

// expire ends a change whose valid_until has passed.
func (l *loop) expire(c *change) {
	ln := c.lane
	if c.isReapply() {
		l.drop(c)
		ln.reapply, ln.ledger.InForce = nil, nil
		return
	}
	l.end(c, messages.Expired, "valid_until passed before the gateway had accepted it", "")
}

// reportWaiting makes a waiting result, once each time a change starts to wait.
func (l *loop) reportWaiting(c *change, why view.Reason) {
	told := ledger.ToldSignIn
	if why == view.Instant {
		told = ledger.ToldInstant
	}
	if c.reported&told != 0 || c.isReapply() || l.stopping {
		return
	}
	c.reported |= told
	r := c.result(messages.Waiting, why.Sentence(), l.now)
	if why == view.Session && c.try != nil && c.try.message != "" {
		r.Message = c.try.message
	}
	l.enqueue(&entry{change: c, result: r, told: told}, unordered)
}
