package worker

// heldUntil returns when the hold of the change is over, in ticks; 0: it is not held.
//
// A change is held while an earlier call for its agent may still take effect after its own. These agents are held:
//
//   - all of whom something was unfinished when this owner took over ([loop.enter] sets held), because the last owner may have
//     made a call for them that nobody knows of;
//   - those for which the last owner may have been reapplying a policy (holdReapplies, considerReapply, wakeReapplies);
//   - all agents, if the last owner was still waiting for the end of its own hold ([Term.HoldAll]);
//   - those whose last call got no answer of the gateway's own, until its time-out, unless the flag is the same (doubts). Their
//     ledger carries that instant to the next owner, because the change itself may have ended by then.
func (s *schedule) heldUntil(c *change) int64 {
	until := s.doubts.against(c.lane, c.flag)
	if c.lane.held || s.holdAll {
		until = max(until, s.holdUntil)
	}
	return until
}

// holdReapplies holds the agents for which the last owner may have been reapplying a policy. That owner may have seen a sign-in that
// has ended since, or one without a time, which this one cannot tell from a rotation of the GUID.
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
