package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// entry is a result of an agent from the moment when its outcome is known until it is stored. It goes through this file from
// top to bottom: outcome, result, the agent's outbox, the ledger, and the release of what the change held.
type entry struct {
	change  *change
	result  messages.Result
	pending bool // the call of its change is under way: the entry keeps the place of the ending, which is not known yet
	letter  bool // it takes up the room of those that become dead letters
	queue   order
	ticket  uint64      // its number among the agent's
	told    ledger.Told // what a waiting result reports
	signIn  ledger.SignIn
	inForce ledger.Position // of the policy that was reapplied
	failed  int             // failed attempts to store it, except conflicts
}

func (e *entry) ends() bool { return e.result.Outcome.Ends() }

func (e *entry) dead() bool { return e.result.Outcome.Dead() }

// end ends a change that took effect. Its result waits for those of the agent's changes that took effect before it.
func (l *loop) end(c *change, o messages.Outcome, text, by string) {
	l.enqueue(l.finish(c, o, text, by), ordered)
}

// succeed ends a change as applied, or reports that a policy was reapplied.
func (l *loop) succeed(c *change, a *answered) {
	ln := c.lane
	signIn := a.session.signIn(a.sent.UnixNano())
	if !c.isReapply() {
		e := l.finish(c, messages.Applied, "", "")
		e.result.Message = a.Message
		e.signIn = signIn
		l.enqueue(e, ordered)
		return
	}
	ln.reapply = nil
	l.drop(c)
	f := ln.ledger.InForce
	if f == nil {
		return
	}
	r := f.Result
	r.Outcome, r.Retcode, r.Message = messages.Reapplied, a.Retcode, a.Message
	r.Attempts, r.FinishedAt = c.attempts(), l.now.UTC()
	l.enqueue(&entry{change: c, result: r, signIn: signIn, inForce: f.Pos}, unordered)
}

// fail ends a change that the gateway refused for good or that has used up its attempts. fault says why the last attempt got no
// answer of the gateway's own; empty: it got one.
func (l *loop) fail(c *change, fault string) {
	if c.isReapply() {
		ln := c.lane
		l.coverage.gaveUp[ln], ln.reapply = c.try.session.signIn(c.try.last), nil
		l.drop(c)
		l.log().Warn("policy in force could not be reapplied", "agent", ln.agent, "change", c.id,
			"retcode", c.try.retcode, "message", c.try.message, "fault", fault)
		return
	}
	e := l.finish(c, messages.Failed, "", "")
	if e.result.Message == "" {
		e.result.Message = fault
	}
	l.enqueue(e, ordered)
}

// refuse ends an item that cannot be used.
func (l *loop) refuse(c *change, text string) { l.withdraw(c, messages.Rejected, text, "") }

// withdraw ends a change that never took effect. Its result waits for no call.
func (l *loop) withdraw(c *change, o messages.Outcome, text, by string) {
	l.enqueue(l.finish(c, o, text, by), unordered)
}

// finish gives a change its ending: from here on, nothing can change that any more.
func (l *loop) finish(c *change, o messages.Outcome, text, by string) *entry {
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

// enqueue puts an entry into its agent's outbox. The ending of an overtaken change has its place there already.
func (l *loop) enqueue(e *entry, to order) {
	if e.pending && e.result.Outcome != "" {
		e.pending = false
	} else {
		e.change.lane.outbox().add(e, to)
		e.letter = e.dead()
		l.pipeline.add(e, 1, l.now)
	}
	l.store(e.change.lane)
}

// store sends the agent's next result to the ledger, one at a time: each one expects the sequence of the one before it. Of
// all results of an agent, only the last one may lack its dead letter.
func (l *loop) store(ln *lane) {
	switch {
	case ln.out.empty():
		ln.out = nil
		l.pipeline.reread = l.pipeline.reread || ln.skipped
	case ln.out.busy():
	case l.letters.mayLack(ln):
		l.letters.buryUnread(ln)
	case ln.out.next():
		l.send(ln)
	}
}

func (l *loop) send(ln *lane) {
	e := ln.out.storing
	next := l.nextLedger(ln, e)
	ln.out.ledger = &next
	text, _ := next.AppendText(make([]byte, 0, 160)) // never fails
	rec := Record{Result: e.result, Ledger: text, Expect: ln.ledger.Seq, Pos: e.pos(&l.term.Stream), Failed: e.failed}
	if mb := e.change.member; mb != nil && e.ends() {
		rec.Batch = mb.batch.key
	}
	if m := e.change.msg; m != nil && m.trace != nil {
		rec.TraceParent, rec.TraceState = m.trace.parent, m.trace.state
	}
	l.term.Journal.Store(rec, func(seq uint64, kept Kept, err error) { l.mail.push(stored{ln, seq, kept, err}) })
}

func (e *entry) pos(s *ledger.Stream) ledger.Position {
	if e.change.isReapply() {
		return e.inForce
	}
	return e.change.pos(s.Incarnation)
}

// nextLedger returns the agent's ledger as it will be once the entry is stored.
func (l *loop) nextLedger(ln *lane, e *entry) ledger.Ledger {
	next := *ln.ledger
	next.Newest = ln.newest()
	next.Last = ledger.Last{Pos: e.pos(&l.term.Stream), Outcome: e.result.Outcome}
	if !e.change.isReapply() {
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
	default: // the gateway accepted nothing
	}
	next.Landing = 0
	if until := l.doubts.of(ln); until > l.ticks() {
		next.Landing = l.fromTicks(until).UnixNano()
	}
	next.Open = l.openBelow(ln, e, next.Done)
	return next
}

// openBelow returns the agent's unfinished changes up to done, with what results say about them. A change whose ending is e is
// left out. While the backlog is being read, what the last term left open is taken from its ledger.
func (l *loop) openBelow(ln *lane, e *entry, done ledger.Position) []ledger.Open {
	var open []ledger.Open
	for _, c := range ln.unended {
		p := c.pos(l.term.Stream.Incarnation)
		if p.Compare(done) > 0 {
			break
		}
		told := c.recorded
		if c == e.change {
			told |= e.told
		}
		if (c != e.change || !e.ends()) && !ln.ledger.HasEnded(&l.term.Stream, c.published(&l.term.Stream)) {
			open = append(open, ledger.Open{Pos: p, Told: told, Rev: c.rev})
		}
	}
	if l.backlog.behind {
		for _, o := range ln.ledger.Open {
			if o.Pos.Incarnation == l.term.Stream.Incarnation && (o.Pos != e.pos(&l.term.Stream) || !e.ends()) {
				open = append(open, o)
			}
		}
		slices.SortStableFunc(open, func(a, b ledger.Open) int { return a.Pos.Compare(b.Pos) }) // what the lane knows comes first
		open = slices.CompactFunc(open, func(a, b ledger.Open) bool { return a.Pos == b.Pos })
	}
	return open
}

// stored is the event that the Journal has stored a lane's result, or could not.
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
	l.recent.noteKept(e.change, "result", s.kept)
	ln.out.ledger.Seq = s.seq
	ln.setLedger(ln.out.ledger)
	ln.out.ledger = nil
	l.coverage.update(ln)
	if l.Watch != nil {
		l.Watch.Ended(&e.result)
	}
	l.recent.add(&e.result)
	l.logResult(l.ctx, &e.result)
	l.trace(e, l.now)
	if mb := e.change.member; mb != nil && e.ends() {
		mb.ended(e.result.Outcome, s.seq)
	}
	if e.dead() {
		l.letters.bury(ln, e)
		return
	}
	l.done(ln)
}

// done is called when nothing is left to do for the result that was being stored.
func (l *loop) done(ln *lane) {
	e := ln.out.storing
	ln.out.storing = nil
	l.release(e)
	l.store(ln)
	l.plan(ln)
}

// release gives back the entry's room in the pipeline and, if it is an ending, its change.
func (l *loop) release(e *entry) {
	l.pipeline.add(e, -1, l.now)
	switch c := e.change; {
	case c.isReapply():
	case e.ends():
		l.releaseChange(c)
	default:
		c.recorded |= e.told & c.reported // unless that wait has ended meanwhile
	}
}

// releaseChange releases the message of a change whose ending is stored, and those of its cancels.
func (l *loop) releaseChange(c *change) {
	c.lane.leave(c)
	l.waitFor(c, view.None)
	l.backlog.release(c.msg)
	if c.try != nil {
		for _, m := range c.try.cancels {
			l.backlog.release(m)
		}
	}
}

// logResult writes the one log line of a result. Millions of changes may be superseded in a minute, so those lines are at
// debug level.
func (w *Worker) logResult(ctx context.Context, r *messages.Result) {
	level := slog.LevelInfo
	switch r.Outcome {
	case messages.Superseded, messages.Waiting:
		level = slog.LevelDebug
	case messages.Failed, messages.Rejected, messages.Expired:
		level = slog.LevelWarn
	default:
	}
	log := w.log()
	if !log.Enabled(ctx, level) {
		return
	}
	log.LogAttrs(ctx, level, "result", slog.String("outcome", string(r.Outcome)),
		slog.String("agent", r.AgentID), slog.String("change", r.ChangeID), slog.Uint64("seq", r.ChangeSeq),
		slog.String("flag", r.Flag), slog.String("retcode", r.Retcode), slog.String("message", r.Message),
		slog.Int("attempts", r.Attempts), slog.Duration("after", r.FinishedAt.Sub(r.ReceivedAt).Round(time.Millisecond)))
}
