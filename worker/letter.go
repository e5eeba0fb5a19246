package worker

// letters makes dead letters. Every failed or rejected change gets one, after its result is stored. The agent's next result
// waits for it, so after a crash only the last result of an agent can lack its letter.
type letters struct {
	term    *Term
	mail    *mailbox
	backlog *backlog
}

// bury makes the dead letter of the entry that was just stored.
func (ls *letters) bury(ln *lane, e *entry) {
	letter := DeadLetter{Pos: e.pos(&ls.term.Stream), Agent: ln.agent, Whole: e.change.msg.items == 1, Result: &e.result, Seq: ln.ledger.Seq}
	ls.term.Journal.Bury(letter, func(kept Kept) { ls.mail.push(buried{ln, kept}) })
}

type buried struct {
	lane *lane
	kept Kept
}

func (b buried) apply(l *loop) {
	l.recent.noteKept(b.lane.out.storing.change, "dead letter", b.kept)
	l.done(b.lane)
}

// buryLast makes the dead letter of a change that another owner ended, if the agent's last result is its ending and so may lack
// one. The letter is made from the change's message, which stays in the stream until then.
func (ls *letters) buryLast(ln *lane, c *change) {
	at, ended := ln.ledger.EndedAt(&ls.term.Stream, c.published(&ls.term.Stream))
	if last := &ln.ledger.Last; !ended || last.Pos != at || !last.Outcome.Dead() {
		return
	}
	c.msg.hold()
	letter := DeadLetter{Pos: at, Agent: ln.agent, Whole: c.msg.items == 1, Seq: ln.ledger.Seq}
	ls.buryFirst(ln, letter, c.msg)
}

// mayLack reports whether the agent's last result may lack its dead letter: it was stored before this term, and its change
// has not been read yet.
func (ls *letters) mayLack(ln *lane) bool {
	last := &ln.ledger.Last
	return ls.backlog.behind && last.Outcome.Dead() && last.Pos.Seq >= ls.backlog.readTo && ls.term.Stream.Has(last.Pos.Incarnation) &&
		ln.out.sought != ln.ledger.Seq
}

// buryUnread makes the dead letter of the agent's last result before its change is read. Waiting for that change might never
// end, because results that wait take up the room that reading needs.
func (ls *letters) buryUnread(ln *lane) {
	ln.out.sought = ln.ledger.Seq
	ls.buryFirst(ln, DeadLetter{Pos: ln.ledger.Last.Pos, Agent: ln.agent, Seq: ln.ledger.Seq, Unread: true}, nil)
}

// buryFirst makes a letter that the agent's next result and the message m wait for.
func (ls *letters) buryFirst(ln *lane, letter DeadLetter, m *message) {
	ln.outbox().burying++
	ls.term.Journal.Bury(letter, func(Kept) { ls.mail.push(buriedLast{ln, m}) })
}

type buriedLast struct {
	lane *lane
	msg  *message // nil: it has not been read
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
