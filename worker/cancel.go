package worker

import (
	"slices"

	"idlepolicy/messages"
)

// cancel withdraws the agent's unfinished changes with that id that were published before it. The message of the cancel is held
// until their endings are stored.
func (l *loop) cancel(m *message, mc *messages.Change) {
	ln := l.lanes[mc.AgentID]
	if ln == nil {
		return
	}
	for _, c := range slices.Clone(ln.later) {
		if c.id == mc.ID && c.seq() <= m.receipt.Seq {
			l.cancelOne(m, c)
		}
	}
	for _, c := range []*change{ln.inFlight, ln.live} {
		if c != nil && !c.ended && !c.isReapply() && c.id == mc.ID && c.seq() <= m.receipt.Seq && (c.try == nil || !slices.Contains(c.try.cancels, m)) {
			l.cancelOne(m, c)
		}
	}
	l.plan(ln)
}

func (l *loop) cancelOne(m *message, c *change) {
	t := c.tries()
	t.cancels = append(t.cancels, m)
	m.hold()
	if c.lane.inFlight == c {
		t.cancelled = true // a call under way cannot be recalled
		return
	}
	if c.lane.live == c {
		l.end(c, messages.Superseded, "cancelled", "") // it took effect, so its ending must be stored before a newer change is sent
		return
	}
	l.withdraw(c, messages.Superseded, "cancelled", "")
}
