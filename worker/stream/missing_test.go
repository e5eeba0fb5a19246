package stream

import (
	"testing"
)

func (s *site) deleteStream(name string) {
	s.t.Helper()
	if err := s.js.DeleteStream(s.t.Context(), name); err != nil {
		s.t.Fatal(err)
	}
}

// A stream that was deleted begins its sequences again: what ended in the old one says nothing about the new one.
func TestChangesDeletedUnderTheWorker(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g")
	for _, id := range []string{"c1", "c2"} {
		s.publish(`{"agent_id":"1001","flag":"f","id":"` + id + `"}`)
		s.waitFinished()
	}
	s.publish(`{"agent_id":"1002","flag":"f","id":"lost"}`)
	s.wait("it waits for the agent", func() bool { return len(s.results()) == 3 })
	s.deleteStream(s.layout.Names.ChangesStream())
	seq := s.publish(`{"agent_id":"1001","flag":"f","id":"c3"}`)
	if seq > 2 {
		t.Fatalf("the sequence is %d: the stream is the old one", seq)
	}
	s.waitFinished()
	s.wantResults("applied 1001 c1", "applied 1001 c2", "waiting 1002 lost", "applied 1001 c3")
}

func TestResultsDeletedUnderTheWorker(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g")
	for _, id := range []string{"c1", "c2", "c3"} {
		s.publish(`{"agent_id":"1001","flag":"f","id":"` + id + `"}`)
		s.waitFinished()
	}
	s.wait("the last one is in force", func() bool { return s.inForce("1001") == "c3" })
	s.deleteStream(s.layout.Names.ResultsStream())
	s.publish(`{"agent_id":"1001","flag":"g","id":"c4"}`)
	s.waitFinished()
	s.wantResults("applied 1001 c4")
}

// All of it gone at once while nobody looks: the next owner makes it again.
func TestEverythingDeletedBetweenTwoTerms(t *testing.T) {
	s, p := throughProxy(t)
	a := s.startOwner("a")
	p.setDown(true)
	s.wait("it says so", func() bool { return a.owner.State().Trouble != "" })
	for _, c := range s.layout.streams() {
		s.deleteStream(c.Name)
	}
	p.setDown(false)
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("the sessions are there, too", func() bool {
		_, err := s.js.KeyValue(t.Context(), s.layout.Names.SessionsBucket())
		return err == nil
	})
	s.signIn("1001", "g")
	s.waitFinished()
	s.wait("it is applied", func() bool { return s.inForce("1001") == "c1" })
}
