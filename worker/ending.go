package worker

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// entry is a result on its way to the ledger.
type entry struct {
	change    *change
	result    messages.Result
	undecided bool // its change's call is under way; it keeps its place among the agent's endings
	letter    bool // it took the room of those that become dead letters
	line      line
	ticket    uint64      // its number among the agent's
	told      ledger.Told // what a waiting result tells
	signIn    ledger.SignIn
	inForce   ledger.Position // of the policy that was reapplied
	failed    int             // attempts to store it that failed, conflicts apart
}

func (e *entry) ends() bool { return e.result.Outcome.Ends() }

func (e *entry) dead() bool { return e.result.Outcome.Dead() }

// end ends a change that took effect. Its result waits for those of the agent's changes that took effect before it.
func (l *loop) end(c *change, o messages.Outcome, text, by string) {
	l.put(l.decide(c, o, text, by), ordered)
}

// refuse ends an item that cannot be used. Its result waits for no call under way, nor does that of a withdrawn one.
func (l *loop) refuse(c *change, text string) { l.withdraw(c, messages.Rejected, text, "") }

// withdraw ends a change that was replaced or cancelled.
func (l *loop) withdraw(c *change, o messages.Outcome, text, by string) {
	l.put(l.decide(c, o, text, by), unordered)
}

// decide fills in the ending of a change: from here on nothing can become of it but this.
func (l *loop) decide(c *change, o messages.Outcome, text, by string) *entry {
	ln := c.lane
	r := c.result(o, text, l.now)
	r.SupersededBy = by
	c.ended = true
	l.waitFor(c, view.Storing)
	l.leaveLater(c)
	if ln.live == c {
		ln.live = nil
	}
	if c.try != nil && c.try.place != nil {
		c.try.place.result = r
		return c.try.place
	}
	return &entry{change: c, result: r}
}

// put places a result in one of the lines of its agent to the ledger. An overtaken change has its place already.
func (l *loop) put(e *entry, to line) {
	if e.undecided && e.result.Outcome != "" {
		e.undecided = false
	} else {
		e.change.lane.outbox().add(e, to)
		e.letter = e.dead()
		l.hold(e, 1)
	}
	l.store(e.change.lane)
}

// hold counts a result that is not stored in, or out below 0.
func (l *loop) hold(e *entry, n int) { l.pipeline.add(e.change.lane, e.letter, n, l.now) }

// store sends the next result of the agent to the ledger, one at a time: each expects the sequence of the last, and only
// the last one may lack its dead letter.
func (l *loop) store(ln *lane) {
	switch {
	case ln.out.empty():
		ln.out = nil
		l.pipeline.reread = l.pipeline.reread || ln.skipped
	case ln.out.busy():
	case l.mayLackLetter(ln):
		l.buryUnread(ln)
	case ln.out.next():
		l.send(ln)
	}
}

func (l *loop) send(ln *lane) {
	e := ln.out.storing
	next := l.carryOn(ln, e)
	ln.out.ledger = &next
	text, _ := next.AppendText(make([]byte, 0, 160)) // never fails
	rec := Record{Result: e.result, Ledger: text, Expect: ln.ledger.Seq, Pos: l.posOf(e), Failed: e.failed}
	if mb := e.change.member; mb != nil && e.ends() {
		rec.Batch = mb.batch.key
	}
	if m := e.change.msg; m != nil && m.trace != nil {
		rec.TraceParent, rec.TraceState = m.trace.parent, m.trace.state
	}
	l.term.Journal.Store(rec, func(seq uint64, kept Kept, err error) { l.mail.push(stored{ln, seq, kept, err}) })
}

func (l *loop) posOf(e *entry) ledger.Position {
	if e.change.again() {
		return e.inForce
	}
	return e.change.pos(l.term.Stream.Incarnation)
}

// carryOn returns the agent's ledger as it will be once the entry is stored.
func (l *loop) carryOn(ln *lane, e *entry) ledger.Ledger {
	next := ln.ledger
	next.Newest = ln.newest()
	next.Last = ledger.Last{Pos: l.posOf(e), Outcome: e.result.Outcome}
	if !e.change.again() {
		next.Advance(ledger.Published{Pos: next.Last.Pos, Stored: e.change.msg.receipt.Stored})
	}
	if e.ends() {
		if next.Newest.Pos == next.Last.Pos {
			next.Newest.Ended = e.result.Outcome
		}
		next.Remember(e.change.msg.hash, e.change.msg.receipt.Stored)
	}
	switch e.result.Outcome {
	case messages.Applied:
		next.SignIn = e.signIn
		next.InForce = &ledger.InForce{Pos: next.Last.Pos, Result: e.result}
	case messages.Reapplied:
		next.SignIn = e.signIn
	default: // made no call that set anything
	}
	next.Open = l.openBelow(ln, e, next.Done)
	return next
}

// openBelow lists the agent's unfinished changes up to done, without the one whose ending is e, and what results tell of
// them. Those that the last term left open may not have been read yet.
func (l *loop) openBelow(ln *lane, e *entry, done ledger.Position) []ledger.Open {
	var open []ledger.Open
	for _, c := range ln.unended {
		p := c.pos(l.term.Stream.Incarnation)
		if p.Compare(done) > 0 {
			break
		}
		told := c.said
		if c == e.change {
			told |= e.told
		}
		if (c != e.change || !e.ends()) && !ln.ledger.HasEnded(&l.term.Stream, l.published(c)) {
			open = append(open, ledger.Open{Pos: p, Told: told, Rev: c.rev})
		}
	}
	if l.backlog.behind {
		for _, o := range ln.ledger.Open {
			if o.Pos.Incarnation == l.term.Stream.Incarnation && (o.Pos != l.posOf(e) || !e.ends()) {
				open = append(open, o)
			}
		}
		slices.SortStableFunc(open, func(a, b ledger.Open) int { return a.Pos.Compare(b.Pos) }) // what the lane knows comes first
		open = slices.CompactFunc(open, func(a, b ledger.Open) bool { return a.Pos == b.Pos })
	}
	return open
}

// stored tells what came of storing a lane's result.
type stored struct {
	lane *lane
	seq  uint64
	kept Kept
	err  error
}

func (s stored) apply(l *loop) {
	ln := s.lane
	e := ln.out.storing
	if s.err != nil {
		if !errors.Is(s.err, ErrConflict) {
			e.failed++
		}
		l.readAgain(ln, s.err)
		return
	}
	l.pipeline.further(ln, l.now)
	l.noteKept(e.change, "result", s.kept)
	ln.out.ledger.Seq = s.seq
	ln.setLedger(*ln.out.ledger)
	ln.out.ledger = nil
	l.cover(ln)
	if l.Watch != nil {
		l.Watch.Ended(&e.result)
	}
	l.recent.add(&e.result)
	l.logResult(&e.result)
	l.tell(e)
	if mb := e.change.member; mb != nil && e.ends() {
		mb.ended(e.result.Outcome, s.seq)
	}
	if e.dead() {
		l.bury(ln, e)
		return
	}
	l.finish(ln)
}

// finish lets go of the change whose result is stored and goes on with the lane.
func (l *loop) finish(ln *lane) {
	e := ln.out.storing
	ln.out.storing = nil
	l.letGo(e)
	l.store(ln)
	l.plan(ln)
}

// letGo gives back what an entry held: its room in the pipeline and, with its ending, its change.
func (l *loop) letGo(e *entry) {
	l.hold(e, -1)
	switch c := e.change; {
	case c.again():
	case e.ends():
		l.settle(c)
	default:
		c.said |= e.told & c.told // unless that wait is over by now
	}
}

// settle lets go of a change whose ending is stored: of its message, and of those of its cancels.
func (l *loop) settle(c *change) {
	c.lane.leave(c)
	l.waitFor(c, view.None)
	l.backlog.release(c.msg)
	if c.try != nil {
		for _, m := range c.try.cancels {
			l.backlog.release(m)
		}
	}
}

// logResult writes the one line that a change gets when it ends. Millions may be superseded in a minute; those are
// only worth a line to somebody who looks for it.
func (l *loop) logResult(r *messages.Result) {
	level := slog.LevelInfo
	switch r.Outcome {
	case messages.Superseded, messages.Waiting:
		level = slog.LevelDebug
	case messages.Failed, messages.Rejected, messages.Expired:
		level = slog.LevelWarn
	default:
	}
	log := l.log()
	if !log.Enabled(l.ctx, level) {
		return
	}
	log.LogAttrs(l.ctx, level, "result", slog.String("outcome", string(r.Outcome)),
		slog.String("agent", r.AgentID), slog.String("change", r.ChangeID), slog.Uint64("seq", r.ChangeSeq),
		slog.String("flag", r.Flag), slog.String("retcode", r.Retcode), slog.String("message", r.Message),
		slog.Int("attempts", r.Attempts), slog.Duration("after", r.FinishedAt.Sub(r.ReceivedAt).Round(time.Millisecond)))
}
