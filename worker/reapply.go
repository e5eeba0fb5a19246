package worker

// considerReapply starts to reapply what is in force if the agent signed in since the gateway was last told.
func (l *loop) considerReapply(ln *lane) {
	f := ln.ledger.InForce
	if ln.reapply != nil || f == nil || l.policy.NoReapply || l.stopping || l.backlog.behind || ln.skipped {
		return // what the stream still holds may be newer
	}
	session, ok := l.Sessions.Of(ln.agent)
	if !ok || !session.newSince(l.coverage.gaveUp[ln]) || !session.newSince(ln.ledger.SignIn) {
		return
	}
	if until := f.Result.ValidUntil; !until.After(l.now) {
		ln.ledger.InForce = nil
		return
	}
	if !ln.out.empty() || ln.inFlight != nil {
		return // the ledger is about to say more; plan is asked again then
	}
	ln.reapply = &change{
		lane: ln, id: f.Result.ChangeID, flag: f.Result.Flag,
		at: f.Result.EffectiveAt.UnixNano(), until: f.Result.ValidUntil.UnixNano(),
	}
	ln.held = ln.held || !session.SignedInAt.After(l.start)
}

// signedIn looks at an agent again because its session has changed.
func (l *loop) signedIn(agent string) {
	if ln := l.lanes[agent]; ln != nil {
		l.plan(ln)
	}
}

// wakeReapplies looks at the agents that signed in while no worker was running. Until all that is unfinished was read,
// nobody knows whether a newer change waits.
func (l *loop) wakeReapplies() {
	if l.policy.NoReapply || l.backlog.behind {
		return
	}
	for _, ln := range l.lanes {
		if ln.ledger.InForce == nil {
			continue
		}
		if ln.live == nil {
			l.considerReapply(ln)
			ln.held = ln.held || ln.reapply != nil // the last owner may have called for it
		}
		l.plan(ln)
	}
}

// holdReapplies holds the agents for whom the last owner may have reapplied, before anything newer of them is read. It
// may have seen a sign-in that only it could tell from a rotation, or one that is over.
func (l *loop) holdReapplies() {
	for _, ln := range l.lanes {
		if ln.ledger.InForce == nil {
			continue
		}
		s, ok := l.Sessions.Of(ln.agent)
		untimed := s.SignedInAt.IsZero() && s.Rev != ln.ledger.SignIn.Rev
		ln.held = ln.held || !ok || untimed || s.newSince(ln.ledger.SignIn)
	}
}
