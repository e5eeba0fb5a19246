package stream

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
)

// saved is one stream as "nats stream backup" saves it: what the server says of it, and its files.
type saved struct {
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
	Chunks [][]byte        `json:"chunks"`
}

// backup saves a stream with its consumers, over the same interface that the nats command uses.
func (s *site) backup(name string) saved {
	s.t.Helper()
	inbox := s.nc.NewInbox()
	from, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = from.Unsubscribe() }()
	var b saved
	s.ask("STREAM.SNAPSHOT."+name, map[string]any{"deliver_subject": inbox}, &b)
	for {
		m, err := from.NextMsg(30 * time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(m.Data) == 0 {
			return b
		}
		b.Chunks = append(b.Chunks, m.Data)
		if m.Reply != "" {
			if err := m.Respond(nil); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// restore brings a stream back that is not there.
func (s *site) restore(name string, b saved) {
	s.t.Helper()
	var to struct {
		Deliver string `json:"deliver_subject"`
	}
	s.ask("STREAM.RESTORE."+name, map[string]any{"config": b.Config, "state": b.State}, &to)
	for _, chunk := range append(b.Chunks, nil) {
		answer, err := s.nc.Request(to.Deliver, chunk, 30*time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		s.wantNoError("restore "+name, answer)
	}
}

func (s *site) ask(what string, question, answer any) {
	s.t.Helper()
	text, err := json.Marshal(question)
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := s.nc.Request("$JS.API."+what, text, 30*time.Second)
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	s.wantNoError(what, m)
	if err := json.Unmarshal(m.Data, answer); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) wantNoError(what string, m *nats.Msg) {
	s.t.Helper()
	var refused struct {
		Error *struct{ Description string }
	}
	if len(m.Data) > 0 && json.Unmarshal(m.Data, &refused) == nil && refused.Error != nil {
		s.t.Fatalf("%s: %s", what, refused.Error.Description)
	}
}

// backups are the streams that have to be saved: sessions are handed over anew, and what is in force is a view of the
// results.
func (s *site) backups() map[string]saved {
	s.t.Helper()
	n := s.layout.Names
	all := map[string]saved{}
	for _, name := range []string{n.ChangesStream(), n.ResultsStream(), n.DeadStream(), "KV_" + n.ControlBucket()} {
		all[name] = s.backup(name)
	}
	return all
}

// After a disaster there is nothing but the backup, taken while no worker ran: what had ended stays ended, what had not
// ends once, and new changes are taken.
func TestRestoredBackup(t *testing.T) {
	s := newSite(t)
	r := s.start("before")
	s.waitOwner(r)
	s.signIn("1001", "guid-1")
	s.publish(`{"id":"ended","agent_id":"1001","flag":"true"}`)
	s.wait("the first has ended", func() bool { return len(s.results()) == 1 })
	s.publish(`{"id":"open","agent_id":"1002","flag":"true"}`)
	s.wait("the second waits", func() bool { return len(s.results()) == 2 })
	r.finish()
	saved := s.backups()

	after := newSite(t)
	for name, b := range saved {
		after.restore(name, b)
	}
	r = after.start("after")
	after.waitOwner(r)
	after.signIn("1001", "guid-2")
	after.signIn("1002", "guid-2")
	after.publish(`{"id":"new","agent_id":"1001","flag":"false"}`)
	after.waitFinished()
	after.wantEndings("applied 1001 ended", "applied 1002 open", "applied 1001 new")
	after.wait("what is in force is seen again", func() bool { return after.inForce("1001") == "new" })
}

// wantEndings compares what ended, in any order of agents.
func (s *site) wantEndings(want ...string) {
	s.t.Helper()
	left := map[string]int{}
	for _, w := range want {
		left[w]++
	}
	for _, r := range s.results() {
		if r.Outcome.Ends() {
			left[string(r.Outcome)+" "+r.AgentID+" "+r.ChangeID]--
		}
	}
	for what, n := range left {
		if n != 0 {
			s.t.Errorf("%s: %+d endings too few", what, n)
		}
	}
}

func (s *site) inForce(agent string) string {
	s.t.Helper()
	kv, err := s.js.KeyValue(context.Background(), s.layout.Names.AppliedBucket())
	if err != nil {
		return ""
	}
	e, err := kv.Get(context.Background(), agent)
	if err != nil {
		return ""
	}
	var r messages.Result
	if err := json.Unmarshal(e.Value(), &r); err != nil {
		s.t.Fatal(err)
	}
	return r.ChangeID
}

// Changes restored from an older backup beside newer results: their stream gives out sequences that results tell of
// already, and what is new must not be taken for that, not even after the server read its store again.
func TestOlderChangesBesideNewerResults(t *testing.T) {
	s := newSite(t)
	r := s.start("before")
	s.waitOwner(r)
	s.signIn("1001", "guid")
	s.publish(`{"id":"one","agent_id":"1001","flag":"true"}`)
	s.waitFinished()
	older := s.backup(s.layout.Names.ChangesStream())
	s.publish(`{"id":"two","agent_id":"1001","flag":"true"}`)
	s.publish(`{"id":"three","agent_id":"1001","flag":"true"}`)
	s.waitFinished()
	r.finish()
	if err := s.js.DeleteStream(t.Context(), s.layout.Names.ChangesStream()); err != nil {
		t.Fatal(err)
	}
	s.restore(s.layout.Names.ChangesStream(), older)
	r = s.start("after")
	s.waitOwner(r)
	s.publish(`{"id":"four","agent_id":"1001","flag":"false"}`)
	s.waitFinished()
	s.restartServer()
	s.publish(`{"id":"five","agent_id":"1001","flag":"true"}`)
	s.waitFinished()
	s.wantEndings("applied 1001 one", "applied 1001 two", "applied 1001 three", "applied 1001 four", "applied 1001 five")
}
