package worker

// bury makes the dead letter of the entry that was stored; the agent's next result waits for it, so that after a crash
// only the last result of an agent can lack one.
func (l *loop) bury(ln *lane, e *entry) {
	letter := DeadLetter{Pos: l.posOf(e), Agent: ln.agent, Whole: e.change.msg.items == 1, Result: &e.result, Seq: ln.ledger.Seq}
	l.term.Journal.Bury(letter, func() { l.mail.push(buried{ln}) })
}

type buried struct{ lane *lane }

func (b buried) apply(l *loop) { l.finish(b.lane) }

// buryLast makes the dead letter of a change that somebody else ended, if that is the agent's last result: it may lack one.
// The change's message stays until it is there, as the letter is made from it.
func (l *loop) buryLast(ln *lane, c *change) {
	at, ended := l.endedAt(&ln.ledger, c)
	if last := &ln.ledger.Last; !ended || last.Pos != at || !last.Outcome.Dead() {
		return
	}
	ln.outbox().burying = true
	c.msg.open++
	letter := DeadLetter{Pos: at, Agent: ln.agent, Whole: c.msg.items == 1, Seq: ln.ledger.Seq}
	l.term.Journal.Bury(letter, func() { l.mail.push(buriedLast{ln, c.msg}) })
}

type buriedLast struct {
	lane *lane
	msg  *message
}

func (b buriedLast) apply(l *loop) {
	b.lane.out.burying = false
	l.release(b.msg)
	l.store(b.lane)
	l.plan(b.lane)
}

// mayLackLetter tells whether the agent's last result is one from before this term whose change may come yet, and with it
// the need for its dead letter.
func (l *loop) mayLackLetter(ln *lane) bool {
	last := &ln.ledger.Last
	return l.behind && last.Outcome.Dead() && last.Pos.Seq >= l.readTo && l.ofThisStream(last.Pos.Epoch)
}

// unstorable is how many results wait, while the term stops, for the reading of what will not be read any more: the next
// owner comes to them again.
func (l *loop) unstorable() (n int) {
	if !l.behind || l.entries == 0 {
		return 0
	}
	for _, ln := range l.lanes {
		if o := ln.out; o != nil && o.storing == nil && !o.burying && l.mayLackLetter(ln) {
			n += o.waiting()
		}
	}
	return n
}
