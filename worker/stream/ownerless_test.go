package stream

import (
	"strings"
	"testing"
	"time"
)

// Somebody else holds the server's place, as while no replica could take it because of a publisher's header. The standby
// says that there is no owner and does not name the dead one.
func TestStandbyReportsThatThereIsNoOwner(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	a.owner.Conn.Close() // as good as dead
	rival, err := newPuller(s.js, s.layout.Names)
	if err != nil {
		t.Fatal(err)
	}
	defer rival.stop()
	pin := ""
	s.wait("somebody else holds the place", func() bool {
		s.publish(`{"agent_id":"1001","flag":"f"}`) // a's last pull may still take one
		if err := rival.ask(pullRequest{Expires: lookEvery, Batch: 1}); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-rival.replies:
			if isDelivery(m) {
				pin = pinned(s.consumer())
			}
		case <-time.After(lookEvery):
		}
		return pin != ""
	})
	b := s.start("b")
	s.wait("b says that there is no owner", func() bool {
		if err := rival.ask(pullRequest{Expires: lookEvery, Batch: 1, Pin: pin}); err != nil {
			t.Fatal(err)
		}
		st := b.owner.State()
		if st.Owner != "" {
			t.Fatalf("b names %s as the owner", st.Owner)
		}
		return strings.Contains(st.Trouble, "no replica is the owner")
	})
	s.waitOwner(b)
	if st := b.owner.State(); st.Owner != "b" || st.Trouble != "" {
		t.Errorf("as the owner b says %+v", st)
	}
}
