package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/stream/natstest"
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
		var answer *nats.Msg
		s.wait("somebody takes a piece of "+name, func() bool { // of three servers ours may not know yet who does
			var err error
			if answer, err = s.nc.Request(to.Deliver, chunk, 30*time.Second); err != nil && !errors.Is(err, nats.ErrNoResponders) {
				s.t.Fatal(err)
			}
			return err == nil
		})
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

// anew deletes a stream and restores it from a backup.
func (s *site) anew(name string, b saved) {
	s.t.Helper()
	if err := s.js.DeleteStream(context.Background(), name); err != nil {
		s.t.Fatal(err)
	}
	s.restore(name, b)
}

// A message of three agents is restored of which one had ended: the others end once, nothing is told twice, and its batch
// is summed up once. Servers and workers that start anew meanwhile change nothing of it.
func TestRestoredMessageOfWhichSomeHadEnded(t *testing.T) {
	s := newSite(t)
	r := s.start("before")
	s.waitOwner(r)
	s.signIn("1001", "guid")
	s.publish(`{"id":"m","agent_ids":["1001","1002","1003"],"flag":"true","batch_id":"b"}`)
	s.wait("all is told", func() bool {
		return s.told(messages.Applied, "1001", "m")+s.told(messages.Waiting, "1002", "m")+s.told(messages.Waiting, "1003", "m") == 3
	})
	r.finish()
	saved := s.backups()

	after := newSite(t)
	for name, b := range saved {
		after.restore(name, b)
	}
	r = after.start("after")
	after.waitOwner(r)
	after.signIn("1002", "guid")
	after.wait("the second has ended", func() bool { return after.told(messages.Applied, "1002", "m") == 1 })
	after.restartServer()
	after.publish(`{"id":"new","agent_id":"1002","flag":"false"}`)
	after.wait("the new one has ended", func() bool { return after.told(messages.Applied, "1002", "new") == 1 })
	r.finish()
	n := after.layout.Names
	after.anew(n.ChangesStream(), after.backup(n.ChangesStream())) // a second life
	r = after.start("last")
	after.waitOwner(r)
	after.signIn("1003", "guid")
	after.waitFinished()
	after.wantEndings("applied 1001 m", "applied 1002 m", "applied 1002 new", "applied 1003 m")
	for _, agent := range []string{"1002", "1003"} {
		if n := after.told(messages.Waiting, agent, "m"); n != 1 {
			t.Errorf("agent %s was told %d times to wait", agent, n)
		}
	}
	if got := after.summaries("b"); got != 1 {
		t.Errorf("%d summaries", got)
	}
}

// told counts the results of a change.
func (s *site) told(o messages.Outcome, agent, id string) (n int) {
	s.t.Helper()
	for _, r := range s.results() {
		if r.Outcome == o && r.AgentID == agent && r.ChangeID == id {
			n++
		}
	}
	return n
}

// summaries counts those of a batch.
func (s *site) summaries(id string) (n int) {
	s.t.Helper()
	subject := s.layout.Names.Batch(id)
	err := scan(context.Background(), s.js, s.layout.Names.ResultsStream(), subject, jetstream.OrderedConsumerConfig{},
		func(jetstream.Msg, uint64) error { n++; return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// A backup is taken while the worker goes on, the changes first. What ended after they were saved is in the results that
// were saved later, and is only acknowledged.
func TestBackupWhileTheWorkerRuns(t *testing.T) {
	s := newSite(t)
	s.desk.answer = func(c worker.Call) worker.Answer {
		if c.AgentID == "1003" {
			return worker.Answer{Class: worker.Refused, Retcode: "000-002", Message: "bad parameter"}
		}
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	r := s.start("before")
	s.waitOwner(r)
	s.publish(`{"id":"m","agent_ids":["1001","1002"],"flag":"true","batch_id":"b"}`)
	s.publish(`{"id":"bad","agent_id":"1003","flag":"true"}`)
	s.publish(`{"id":"far","agent_ids":["1001","1004"],"flag":"true","batch_id":"many","batch_total":2}`)
	s.wait("all wait", func() bool { return len(s.results()) >= 4 })
	n := s.layout.Names
	all := map[string]saved{n.ChangesStream(): s.backup(n.ChangesStream())}
	for _, agent := range []string{"1001", "1002", "1003"} {
		s.signIn(agent, "guid")
	}
	s.wait("what can end has ended", func() bool { return s.unfinished() == 1 && s.summaries("b") == 1 })
	for _, name := range []string{n.ResultsStream(), n.DeadStream(), "KV_" + n.ControlBucket()} {
		all[name] = s.backup(name)
	}

	after := newSite(t)
	for name, b := range all {
		after.restore(name, b)
	}
	r = after.start("after")
	after.waitOwner(r)
	after.signIn("1004", "guid")
	after.publish(`{"id":"new","agent_id":"1002","flag":"false"}`)
	after.signIn("1002", "guid")
	after.waitFinished()
	after.wantEndings("superseded 1001 m", "applied 1001 far", "applied 1002 m", "failed 1003 bad", "applied 1004 far", "applied 1002 new")
	if b, many := after.summaries("b"), after.summaries("many"); b != 1 || many != 1 {
		t.Errorf("%d and %d summaries", b, many)
	}
	dead, err := after.js.Stream(t.Context(), n.DeadStream())
	if err != nil || dead.CachedInfo().State.Msgs != 1 {
		t.Errorf("dead letters: %v, %v", dead.CachedInfo().State.Msgs, err)
	}
}

// Changes restored from an older backup beside newer results: their stream gives out sequences that results tell of
// already, and what is new must not be taken for that, not even after the server read its store again.
func TestOlderChangesBesideNewerResults(t *testing.T) {
	s := newSite(t)
	r := s.start("before")
	s.waitOwner(r)
	s.signIn("1001", "guid")
	s.publish(`{"id":"one","agent_ids":["1001","1002"],"flag":"true"}`)
	s.wait("one of two has ended", func() bool { return s.told(messages.Applied, "1001", "one") == 1 })
	older := s.backup(s.layout.Names.ChangesStream())
	s.signIn("1002", "guid")
	s.publish(`{"id":"two","agent_id":"1001","flag":"true"}`)
	s.waitFinished() // else the next one may take its place
	s.publish(`{"id":"three","agent_id":"1001","flag":"true"}`)
	s.waitFinished()
	r.finish()
	s.anew(s.layout.Names.ChangesStream(), older)
	r = s.start("after")
	s.waitOwner(r)
	s.publish(`{"id":"four","agent_id":"1001","flag":"false"}`)
	s.waitFinished()
	s.restartServer()
	s.publish(`{"id":"five","agent_id":"1001","flag":"true"}`)
	s.waitFinished()
	s.wantEndings("applied 1001 one", "applied 1002 one", "applied 1001 two", "applied 1001 three", "applied 1001 four", "applied 1001 five")
}

// A stream that is deleted and made anew beside old results gives out the same sequences: nothing new is taken for old,
// not even where somebody gave it a copy of the consumer that the old one had.
func TestChangesMadeAnewBesideOldResults(t *testing.T) {
	s := newSite(t)
	name := s.layout.Names.ChangesStream()
	s.live("one")
	copied := s.live("two")
	if copied.Metadata[epochsKey] == "" {
		t.Fatal("the consumer tells of no epoch")
	}
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.CreateConsumer(t.Context(), name, copied); err != nil {
		t.Fatal(err)
	}
	s.live("three")
	s.wantEndings("applied 1001 one-a", "applied 1001 one-b", "applied 1001 two-a", "applied 1001 two-b",
		"applied 1001 three-a", "applied 1001 three-b")
}

// live has a stream of changes be made, have two changes and be deleted. It returns what its consumer was.
func (s *site) live(id string) jetstream.ConsumerConfig {
	s.t.Helper()
	r := s.start(id)
	s.waitOwner(r)
	s.signIn("1001", "guid")
	for _, flag := range []string{"a", "b"} {
		s.publish(fmt.Sprintf(`{"id":"%s-%s","agent_id":"1001","flag":"%s"}`, id, flag, flag))
		s.waitFinished()
	}
	r.finish()
	name := s.layout.Names.ChangesStream()
	c, err := s.js.Consumer(context.Background(), name, consumerName)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.js.DeleteStream(context.Background(), name); err != nil {
		s.t.Fatal(err)
	}
	return c.CachedInfo().Config
}

// The disk of the changes lost the last messages, as after a power failure, and that of the results did not: the stream
// gives out sequences again that results tell of already, and nobody says that it is another one.
func TestChangesWithoutTheirLastMessages(t *testing.T) {
	s := newSite(t)
	r := s.start("before")
	s.waitOwner(r)
	s.signIn("1001", "guid")
	s.publish(`{"id":"one","agent_ids":["1001","1002"],"flag":"true"}`)
	s.wait("one of two has ended", func() bool { return s.told(messages.Applied, "1001", "one") == 1 })
	files, older := filepath.Join(s.dir, "jetstream", "$G", "streams", s.layout.Names.ChangesStream()), filepath.Join(t.TempDir(), "older")
	s.whileStopped(func() error { return os.CopyFS(older, os.DirFS(files)) })
	for _, id := range []string{"two", "three", "four"} {
		s.publish(`{"id":"` + id + `","agent_id":"1001","flag":"true"}`)
		s.wait(id+" has ended", func() bool { return s.told(messages.Applied, "1001", id) == 1 })
	}
	s.whileStopped(func() error {
		return errors.Join(os.RemoveAll(files), os.CopyFS(files, os.DirFS(older)))
	})
	s.publish(`{"id":"five","agent_id":"1001","flag":"false"}`)
	s.wait("the new one has ended", func() bool { return s.told(messages.Applied, "1001", "five") == 1 })
	s.signIn("1002", "guid")
	s.waitFinished()
	s.wantEndings("applied 1001 one", "applied 1002 one", "applied 1001 two", "applied 1001 three", "applied 1001 four", "applied 1001 five")
}

// whileStopped does something while the server is down.
func (s *site) whileStopped(do func() error) {
	s.t.Helper()
	port := natstest.Port(s.server)
	natstest.Stop(s.server)
	if err := do(); err != nil {
		s.t.Fatal(err)
	}
	s.startServer(port)
}

// Of a stream that was restored on three servers, each may name another creation time: when another one leads, what is
// new must not be taken for old.
func TestRestoredOnThreeServers(t *testing.T) {
	s, servers := newCluster(t)
	n := s.layout.Names
	r := s.start("before")
	s.waitOwner(r)
	s.signIn("1001", "guid")
	s.publish(`{"id":"m","agent_ids":["1001","1002"],"flag":"true"}`)
	s.wait("the first is called for", func() bool { return len(s.desk.made()) == 1 })
	r.finish()
	s.anew(n.ChangesStream(), s.backup(n.ChangesStream()))
	r = s.start("after")
	s.waitOwner(r)
	s.publish(`{"id":"new","agent_id":"1001","flag":"false"}`)
	s.wait("the new one is called for", func() bool { return len(s.desk.made()) == 2 })
	r.finish()
	leader := ""
	s.wait("the others have all that was restored", func() bool {
		st, err := s.js.Stream(t.Context(), n.ChangesStream())
		if err != nil {
			return false
		}
		c := st.CachedInfo().Cluster
		leader = c.Leader
		return len(c.Replicas) == 2 && c.Replicas[0].Current && c.Replicas[1].Current
	})
	for _, srv := range servers {
		if srv.Name() == leader {
			srv.Shutdown()
		}
	}
	s.publish(`{"id":"newer","agent_id":"1001","flag":"true"}`)
	s.waitOwner(s.start("last"))
	s.signIn("1002", "guid")
	s.waitFinished()
	s.wantEndings("applied 1001 m", "applied 1001 new", "applied 1001 newer", "applied 1002 m")
}
