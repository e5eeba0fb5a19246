package stream

import (
	"context"
	"testing"
	"time"
)

// An owner that was lost while it waited for the calls of the one before it may have ended what these were for: behind
// it every agent waits.
func TestOwnerLostDuringItsHold(t *testing.T) {
	s := newSite(t)
	s.hold = time.Hour
	lose := func(r *replica) {
		s.waitOwner(r)
		r.owner.Conn.Close() // as good as dead: what it would say at its end reaches nobody
	}
	lose(s.start("a"))
	lose(s.start("b"))
	s.signIn("1001", "g")
	c := s.startOwner("c")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("the agent waits for the hold", func() bool {
		view, ok := c.owner.Worker.Agent(context.Background(), "1001")
		return ok && view.Live != nil && view.Live.WaitsFor == "hold"
	})
	if calls := s.desk.made(); len(calls) > 0 {
		t.Errorf("calls: %q", calls)
	}
}
