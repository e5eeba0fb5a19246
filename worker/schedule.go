package worker

import (
	"cmp"
	"slices"
	"time"

	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// schedule has the queues of the changes that are ready for a call, wait for an instant or pause, and counts what all of them wait
// for. [loop.plan] decides which of these it is.
type schedule struct {
	*clock
	ready     ready
	instants  heapOf[*change]     // by wakesAt
	pauses    heapOf[*change]     // by wakesAfter
	waiting   [view.Unknown]int   // unfinished changes and policies to be reapplied, by what they wait for
	debounces map[*lane]*debounce // of the agents that have one, or had one since the flood began
	doubts    doubts              // of the agents whose last call may still take effect

	gateAgain time.Time // when to ask the gate again; zero: after the next event
	holdUntil int64     // in ticks; 0: there is no hold
	holdAll   bool      // the hold is for all agents, not only for the lanes with held set
	flood     int64     // when the last debounce in progress ends, in ticks
}

func newSchedule(c *clock) schedule {
	s := schedule{
		clock: c, debounces: map[*lane]*debounce{}, doubts: doubts{},
		instants: heapOf[*change]{
			less:  func(a, b *change) bool { return cmp.Or(cmp.Compare(a.wakesAt, b.wakesAt), byPublication(a, b)) < 0 },
			place: func(c *change) *int32 { return &c.instant },
		},
		pauses: heapOf[*change]{
			less: func(a, b *change) bool {
				return cmp.Or(cmp.Compare(a.wakesAfter, b.wakesAfter), byPublication(a, b)) < 0
			},
			place: func(c *change) *int32 { return &c.pause },
		},
	}
	s.ready.spare.heap = newReadyHeap()
	return s
}

func byPublication(a, b *change) int {
	return cmp.Or(cmp.Compare(a.seq(), b.seq()), cmp.Compare(a.index, b.index))
}

// plan decides what the lane does next: make a call, or wait, and for what. It is called whenever that may have changed.
func (l *loop) plan(ln *lane) {
	l.planNext(ln)
	l.coverage.update(ln)
}

func (l *loop) planNext(ln *lane) {
	c := ln.live
	if c == nil {
		l.considerReapply(ln)
		c = ln.reapply
	}
	if c == nil || ln.inFlight == c {
		return
	}
	if c.until <= l.now.UnixNano() {
		l.expire(c)
		return
	}
	now, pause := l.ticks(), int64(0)
	session, signedIn := l.Sessions.Of(ln.agent)
	refused := signedIn && c.refusedIn(session)
	switch {
	case refused:
		c.rev = session.Rev // the record may have been written again with the same session
	case signedIn && !c.stillRefused(session):
		c.reported, c.recorded = c.reported&^ledger.ToldSignIn, c.recorded&^ledger.ToldSignIn // the next wait for a sign-in is reported again
	}
	var why view.Reason
	hold, spare := l.heldUntil(c), false
	switch {
	case ln.inFlight != nil:
		why = view.OlderCall // plan is called when it comes back
	case ln.out.unsettled():
		why = view.OlderEnding // and when that is stored
	case !signedIn:
		why = view.SignIn
		l.reportWaiting(c, why)
	case refused:
		why = view.Session
		l.reportWaiting(c, why)
		if t := c.tries(); t.sessionNext == 0 { // the last owner's call was refused
			t.refusals, t.sessionNext = 1, now+int64(firstSessionPause)
		}
		if spare = max(c.try.sessionNext, hold) <= now; !spare {
			pause = max(c.try.sessionNext, hold)
		}
	case hold > now:
		why, pause = view.Hold, hold
	case c.try != nil && c.try.retry > now:
		why, pause = view.Retry, c.try.retry
	case l.debounces[ln].lasts(now):
		why, pause = view.Debounce, l.debounces[ln].until
	default:
		why = view.Gate
	}
	l.waitFor(c, why)
	l.wakeAt(c, c.until)
	l.wakeAfter(c, pause)
	switch {
	case why == view.Gate:
		l.ready.put(c, l.address(session))
	case spare:
		l.ready.putSpare(c)
	default:
		l.ready.remove(c)
	}
}

// refusedIn reports whether the gateway refused this session. A record that was written again with the same content is the same
// session. After a takeover only its revision is known.
func (c *change) refusedIn(s Session) bool {
	switch {
	case c.rev == 0:
		return false
	case c.try != nil && c.try.last != 0:
		return s.SameAs(c.try.session.Session)
	default:
		return s.Rev == c.rev
	}
}

// stillRefused reports whether the gateway refused this session in its last answer, although it was tried again since and that
// call got no answer.
func (c *change) stillRefused(s Session) bool {
	return c.try != nil && c.try.refusals > 0 && s.SameAs(c.try.session.Session)
}

// wakeAt makes due look at the change at an instant, in Unix nanoseconds.
func (s *schedule) wakeAt(c *change, instant int64) {
	if c.instant == 0 || c.wakesAt != instant {
		c.wakesAt = instant
		s.instants.put(c)
	}
}

// wakeAfter makes due look at the change when its pause ends, in ticks; 0: it does not pause.
func (s *schedule) wakeAfter(c *change, ticks int64) {
	switch {
	case ticks == 0:
		s.pauses.remove(c)
	case c.pause == 0 || c.wakesAfter != ticks:
		c.wakesAfter = ticks
		s.pauses.put(c)
	}
}

// waitFor sets what a change waits for. This is the only place where that is set.
func (s *schedule) waitFor(c *change, why view.Reason) {
	s.waiting[c.why]--
	c.why = why
	s.waiting[why]++
}

// unschedule removes the change from all queues.
func (s *schedule) unschedule(c *change) {
	s.instants.remove(c)
	s.pauses.remove(c)
	s.ready.remove(c)
}

// leaveLater removes a change from those that wait for their instant, and from all queues.
func (s *schedule) leaveLater(c *change) {
	ln := c.lane
	if c.later { // the others were never among them, and there may be a great many
		ln.later = slices.DeleteFunc(ln.later, func(w *change) bool { return w == c })
	}
	s.unschedule(c)
}

// drop forgets a change that is being reapplied. If its call is under way, the answer no longer matters.
func (s *schedule) drop(c *change) {
	if c != nil {
		c.ended = true
		s.waitFor(c, view.None)
		s.unschedule(c)
	}
}

// due looks at the changes whose time has come.
func (l *loop) due() {
	for {
		c, ok := l.pauses.first()
		if !ok || c.wakesAfter > l.ticks() {
			break
		}
		l.pauses.remove(c)
		l.plan(c.lane)
	}
	for {
		c, ok := l.instants.first()
		if !ok || c.wakesAt > l.now.UnixNano() {
			break
		}
		l.instants.remove(c)
		l.wakeUp(c)
	}
	l.coverage.endPolicies()
	l.batches.reportProgress(l.forecast.prospects)
}

// wakeUp is called when the instant of a change has come.
func (l *loop) wakeUp(c *change) {
	ln := c.lane
	if slices.Contains(ln.later, c) {
		if l.backlog.behind {
			l.waitFor(c, view.Reading)
			l.backlog.overdue = append(l.backlog.overdue, c)
			return
		}
		l.takeEffect(c)
	}
	l.plan(ln)
}

// untilNext returns how long the event loop may sleep if no event comes in.
func (l *loop) untilNext() time.Duration {
	next := l.now.Add(time.Hour)
	if c, ok := l.pauses.first(); ok {
		next = earlier(next, l.now.Add(time.Duration(c.wakesAfter-l.ticks())))
	}
	if c, ok := l.instants.first(); ok {
		next = earlier(next, l.untilInstant(c.wakesAt))
	}
	if ln, ok := l.coverage.ends.first(); ok {
		next = earlier(next, l.untilInstant(ln.ends))
	}
	if !l.gateAgain.IsZero() {
		next = earlier(next, l.gateAgain)
	}
	if at := l.wave.next(); !at.IsZero() {
		next = earlier(next, at)
	}
	if at := l.pipeline.next(); !at.IsZero() {
		next = earlier(next, at)
	}
	if l.stopping {
		until := l.pipeline.moved.Add(stopWaits)
		if left := l.doubts.last(l.ticks()) - l.ticks(); left > 0 {
			until = l.now.Add(time.Duration(left)) // the next owner must not make calls before
		}
		next = earlier(next, until)
	}
	if len(l.batches.open) > 0 {
		next = earlier(next, l.batches.reportedAt.Add(progressEvery))
	}
	return max(0, next.Sub(l.now))
}
