package stream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// A message of the second generation has ended while the first generation still waits for its agents, and then everything is
// restored from a backup: its ending is under a position from before the restore, and counts in its generation all the same.
func TestRestoredGenerations(t *testing.T) {
	s := newSite(t)
	r := s.startOwner("before")
	of := func(agent string) string {
		return fmt.Sprintf(`{"id":"of-%s","agent_id":"%s","flag":"f","batch_id":"many","batch_total":2}`, agent, agent)
	}
	s.publish(of("2001"))
	s.publish(of("2002"))
	s.publish(of("1001"))
	s.wait("all wait", func() bool { return len(s.results()) == 3 })
	s.signIn("1001", "guid")
	s.wait("one of the second generation has ended", func() bool { return s.told(messages.Applied, "1001", "of-1001") == 1 })
	r.finish()
	after := restored(t, s.backups())
	after.startOwner("after")
	after.signIn("2001", "guid")
	after.signIn("2002", "guid")
	after.wait("the first generation is summed up", func() bool { return len(after.summariesOf("many")) == 1 })
	after.signIn("1002", "guid")
	after.publish(of("1002"))
	after.wait("the second generation is summed up", func() bool { return len(after.summariesOf("many")) == 2 })
	after.waitFinished()
	after.wantEndings("applied 2001 of-2001", "applied 2002 of-2002", "applied 1001 of-1001", "applied 1002 of-1002")
}

// A batch of one message has the ID of one over several messages that still runs: its progress must not hide where the
// endings of that one begin.
func TestProgressOfAnotherBatchOfTheSameID(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "guid")
	last := func() *jetstream.RawStreamMsg {
		st, err := s.js.Stream(t.Context(), s.layout.Names.ResultsStream())
		if err != nil {
			t.Fatal(err)
		}
		m, _ := st.GetLastMsgForSubject(t.Context(), s.layout.Names.BatchProgress("b"))
		return m
	}
	s.publish(`{"agent_id":"1001","flag":"f","batch_id":"b","batch_total":2}`)
	s.wait("the batch is opened", func() bool { return last() != nil })
	opened := last().Header
	s.publish(`{"agent_ids":["1001","2001","2002"],"flag":"f","batch_id":"b"}`)
	s.wait("the other one makes progress", func() bool { return strings.Contains(string(last().Data), `"total":3`) })
	for _, name := range []string{fromHeader, firstHeader, startedHeader} {
		if got, want := last().Header.Get(name), opened.Get(name); got != want || want == "" {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
