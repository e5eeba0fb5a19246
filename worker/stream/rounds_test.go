package stream

import (
	"fmt"
	"testing"

	"idlepolicy/messages"
)

// A message of the second round has ended while the first round still waits for its agents, and then everything is
// restored from a backup: its ending is under a position from before the restore, and counts in its round all the same.
func TestRestoredRounds(t *testing.T) {
	s := newSite(t)
	r := s.start("before")
	s.waitOwner(r)
	of := func(agent string) string {
		return fmt.Sprintf(`{"id":"of-%s","agent_id":"%s","flag":"f","batch_id":"many","batch_total":2}`, agent, agent)
	}
	s.publish(of("2001"))
	s.publish(of("2002"))
	s.publish(of("1001"))
	s.wait("all wait", func() bool { return len(s.results()) == 3 })
	s.signIn("1001", "guid")
	s.wait("one of the second round has ended", func() bool { return s.told(messages.Applied, "1001", "of-1001") == 1 })
	r.finish()
	saved := s.backups()

	after := newSite(t)
	for name, b := range saved {
		after.restore(name, b)
	}
	r = after.start("after")
	after.waitOwner(r)
	after.signIn("2001", "guid")
	after.signIn("2002", "guid")
	after.wait("the first round is summed up", func() bool { return after.summaries("many") == 1 })
	after.signIn("1002", "guid")
	after.publish(of("1002"))
	after.wait("the second round is summed up", func() bool { return after.summaries("many") == 2 })
	after.waitFinished()
	after.wantEndings("applied 2001 of-2001", "applied 2002 of-2002", "applied 1001 of-1001", "applied 1002 of-1002")
}
