package worker

import (
	"slices"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// readAgain reads an agent's ledger again after a result was refused or lost: another owner may have stored one.
func (l *loop) readAgain(ln *lane, err error) {
	l.log().Debug("result not stored, reading the agent's ledger again", "agent", ln.agent, "err", err)
	if l.Watch != nil {
		l.Watch.Conflict()
	}
	ln.out.reloading = true
	l.term.Journal.Reload(ln.agent, func(fresh ledger.Ledger) { l.mail.push(reloaded{ln, &fresh}) })
}

type reloaded struct {
	lane  *lane
	fresh *ledger.Ledger
}

func (r reloaded) apply(l *loop) {
	ln := r.lane
	e, fresh := ln.out.storing, r.fresh
	ln.out.storing, ln.out.reloading = nil, false
	fresh.Begin(l.term.Stream.Incarnation)
	was := l.has(fresh, e)
	ln.setLedger(fresh)
	if was {
		l.storedElsewhere(e)
	} else {
		ln.out.putBack(e)
	}
	l.reconcile(ln)
	l.coverage.update(ln)
	if !ln.out.busy() {
		l.store(ln)
		l.plan(ln)
	}
}

// has reports whether the ledger already contains what the entry reports.
func (l *loop) has(known *ledger.Ledger, e *entry) bool {
	switch {
	case e.ends():
		return known.HasEnded(&l.term.Stream, e.change.published(&l.term.Stream))
	case e.result.Outcome == messages.Waiting:
		open, ok := known.OpenAs(&l.term.Stream, e.change.published(&l.term.Stream))
		return ok && open.Told&e.told != 0 || known.HasEnded(&l.term.Stream, e.change.published(&l.term.Stream))
	default:
		return known.SignIn == e.signIn
	}
}

// storedElsewhere releases an entry that the ledger already contains. Another owner stored it, or we did and missed the
// acknowledgement.
func (l *loop) storedElsewhere(e *entry) {
	if e.ends() {
		e.change.member.endedElsewhere()
		l.letters.buryLast(e.change.lane, e.change)
	}
	l.release(e)
}

// reconcile updates a lane after its ledger was read: another owner may have ended some of its changes.
func (l *loop) reconcile(ln *lane) {
	if stored := ln.ledger.Newest; stored.Pos != (ledger.Position{}) && stored.Newer(ln.newest()) {
		ln.setNewest(stored)
	}
	for _, c := range append(slices.Clone(ln.later), ln.live) {
		if c != nil && c != ln.inFlight && ln.ledger.HasEnded(&l.term.Stream, c.published(&l.term.Stream)) {
			l.forget(c)
		}
	}
	ln.out.remove(func(e *entry) bool {
		if e.pending || e.change.isReapply() || !l.has(ln.ledger, e) {
			return false
		}
		l.storedElsewhere(e)
		return true
	})
	c, newest := ln.live, ln.newest()
	if c != nil && c != ln.inFlight && newest.Pos.Compare(c.pos(l.term.Stream.Incarnation)) != 0 {
		l.end(c, messages.Superseded, "a newer change for this agent took effect", newest.ID)
	}
}

// forget releases a change that another owner ended.
func (l *loop) forget(c *change) {
	c.ended = true
	l.leaveLater(c)
	if c.lane.live == c {
		c.lane.live = nil
	}
	if c.try != nil && c.try.place != nil {
		c.lane.out.remove(func(e *entry) bool { return e == c.try.place })
		l.pipeline.add(c.try.place, -1, l.now)
	}
	c.member.endedElsewhere()
	l.letters.buryLast(c.lane, c)
	l.releaseChange(c)
}
