package worker

// bury makes the dead letter of the entry that was stored; the agent's next result waits for it, so that after a crash
// only the last result of an agent can lack one.
func (l *loop) bury(ln *lane, e *entry) {
	letter := DeadLetter{Pos: l.posOf(e), Agent: ln.agent, Whole: e.change.msg.items == 1, Result: &e.result, Seq: ln.ledger.Seq}
	l.term.Journal.Bury(letter, func(kept Kept) { l.mail.push(buried{ln, kept}) })
}

type buried struct {
	lane *lane
	kept Kept
}

func (b buried) apply(l *loop) {
	l.noteKept(b.lane.out.storing.change, "dead letter", b.kept)
	l.done(b.lane)
}

// noteKept remembers, for whoever asks about the agent, that something could not be stored as it was. The Journal has
// logged it.
func (l *loop) noteKept(c *change, what string, kept Kept) {
	ln := c.lane
	switch kept {
	case KeptWhole:
	case KeptCut:
		l.unkept[ln] = "the " + what + " of change " + c.id + " could not be stored as it was and was cut"
	case KeptNot:
		l.unkept[ln] = "the " + what + " of change " + c.id + " could not be stored; the worker's log has it"
	}
	if len(l.unkept) > maxUnkept {
		delete(l.unkept, ln)
	}
}

// maxUnkept bounds how many agents' storage troubles are remembered.
const maxUnkept = 1000

// buryLast makes the dead letter of a change that somebody else ended, if that is the agent's last result: it may lack one.
// The change's message stays until it is there, as the letter is made from it.
func (l *loop) buryLast(ln *lane, c *change) {
	at, ended := ln.ledger.EndedAt(&l.term.Stream, l.published(c))
	if last := &ln.ledger.Last; !ended || last.Pos != at || !last.Outcome.Dead() {
		return
	}
	c.msg.hold()
	letter := DeadLetter{Pos: at, Agent: ln.agent, Whole: c.msg.items == 1, Seq: ln.ledger.Seq}
	l.buryFirst(ln, letter, c.msg)
}

// buryUnread makes the dead letter of the agent's last result where it may lack one and its change may come yet. To wait
// for that change would have no end: results that wait take the room that reading needs.
func (l *loop) buryUnread(ln *lane) {
	ln.out.sought = ln.ledger.Seq
	l.buryFirst(ln, DeadLetter{Pos: ln.ledger.Last.Pos, Agent: ln.agent, Seq: ln.ledger.Seq, Unread: true}, nil)
}

// buryFirst has the agent's next result wait for a letter of its last one.
func (l *loop) buryFirst(ln *lane, letter DeadLetter, m *message) {
	ln.outbox().burying++
	l.term.Journal.Bury(letter, func(Kept) { l.mail.push(buriedLast{ln, m}) })
}

type buriedLast struct {
	lane *lane
	msg  *message // it waits for the letter, too; nil: it was not read yet
}

func (b buriedLast) apply(l *loop) {
	b.lane.out.burying--
	l.pipeline.further(b.lane, l.now)
	if b.msg != nil {
		l.backlog.release(b.msg)
	}
	l.store(b.lane)
	l.plan(b.lane)
}

// mayLackLetter reports whether the agent's last result is one from before this term whose change may come yet, and with it
// the need for its dead letter, for which nobody has looked yet.
func (l *loop) mayLackLetter(ln *lane) bool {
	last := &ln.ledger.Last
	return l.backlog.behind && last.Outcome.Dead() && last.Pos.Seq >= l.backlog.readTo && l.term.Stream.Has(last.Pos.Incarnation) && ln.out.sought != ln.ledger.Seq
}
