package stream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// After a disaster there is nothing but the backup, taken while no worker ran: what had ended stays ended, what had not
// ends once, and new changes are taken.
func TestRestoredBackup(t *testing.T) {
	s := newSite(t)
	r := s.startOwner("before")
	s.signIn("1001", "guid-1")
	s.publish(`{"id":"ended","agent_id":"1001","flag":"true"}`)
	s.wait("the first has ended", func() bool { return len(s.results()) == 1 })
	s.publish(`{"id":"open","agent_id":"1002","flag":"true"}`)
	s.wait("the second waits", func() bool { return len(s.results()) == 2 })
	r.finish()
	after := restored(t, s.backups())
	after.startOwner("after")
	after.signIn("1001", "guid-2")
	after.signIn("1002", "guid-2")
	after.publish(`{"id":"new","agent_id":"1001","flag":"false"}`)
	after.waitFinished()
	after.wantEndings("applied 1001 ended", "applied 1002 open", "applied 1001 new")
	after.wait("what is in force is seen again", func() bool { return after.inForce("1001") == "new" })
}

// A message of three agents is restored of which one had ended: the others end once, nothing is told twice, and its batch
// is summed up once. Servers and workers that start again meanwhile change nothing of it.
func TestRestoredMessageOfWhichSomeHadEnded(t *testing.T) {
	s := newSite(t)
	r := s.startOwner("before")
	s.signIn("1001", "guid")
	s.publish(`{"id":"m","agent_ids":["1001","1002","1003"],"flag":"true","batch_id":"b"}`)
	s.wait("all is told", func() bool {
		return s.told(messages.Applied, "1001", "m")+s.told(messages.Waiting, "1002", "m")+s.told(messages.Waiting, "1003", "m") == 3
	})
	r.finish()
	after := restored(t, s.backups())
	r = after.startOwner("after")
	after.signIn("1002", "guid")
	after.wait("the second has ended", func() bool { return after.told(messages.Applied, "1002", "m") == 1 })
	after.restartServer()
	after.publish(`{"id":"new","agent_id":"1002","flag":"false"}`)
	after.wait("the new one has ended", func() bool { return after.told(messages.Applied, "1002", "new") == 1 })
	r.finish()
	n := after.layout.Names
	after.again(n.ChangesStream(), after.backup(n.ChangesStream())) // a second life
	after.startOwner("last")
	after.signIn("1003", "guid")
	after.waitFinished()
	after.wantEndings("applied 1001 m", "applied 1002 m", "applied 1002 new", "applied 1003 m")
	for _, agent := range []string{"1002", "1003"} {
		if n := after.told(messages.Waiting, agent, "m"); n != 1 {
			t.Errorf("agent %s was told %d times to wait", agent, n)
		}
	}
	if got := len(after.summariesOf("b")); got != 1 {
		t.Errorf("%d summaries", got)
	}
}

// A backup is taken while the worker goes on, the changes first. What ended after they were saved is in the results that
// were saved later, and is only acknowledged.
func TestBackupWhileTheWorkerRuns(t *testing.T) {
	s := newSite(t)
	s.gateway.answer = func(c worker.Call) worker.Answer {
		if c.AgentID == "1003" {
			return worker.Answer{Class: worker.Refused, Retcode: "000-002", Message: "bad parameter"}
		}
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	s.startOwner("before")
	s.publish(`{"id":"m","agent_ids":["1001","1002"],"flag":"true","batch_id":"b"}`)
	s.publish(`{"id":"bad","agent_id":"1003","flag":"true"}`)
	s.publish(`{"id":"far","agent_ids":["1001","1004"],"flag":"true","batch_id":"many","batch_total":2}`)
	s.wait("all wait", func() bool { return len(s.results()) >= 4 })
	n := s.layout.Names
	all := map[string]saved{n.ChangesStream(): s.backup(n.ChangesStream())}
	for _, agent := range []string{"1001", "1002", "1003"} {
		s.signIn(agent, "guid")
	}
	s.wait("what can end has ended", func() bool { return s.unfinished() == 1 && len(s.summariesOf("b")) == 1 })
	for _, name := range []string{n.ResultsStream(), n.DeadStream(), "KV_" + n.ControlBucket()} {
		all[name] = s.backup(name)
	}

	after := restored(t, all)
	after.startOwner("after")
	after.signIn("1004", "guid")
	after.publish(`{"id":"new","agent_id":"1002","flag":"false"}`)
	after.signIn("1002", "guid")
	after.waitFinished()
	after.wantEndings("superseded 1001 m", "applied 1001 far", "applied 1002 m", "failed 1003 bad", "applied 1004 far", "applied 1002 new")
	if b, many := len(after.summariesOf("b")), len(after.summariesOf("many")); b != 1 || many != 1 {
		t.Errorf("%d and %d summaries", b, many)
	}
	dead, err := after.js.Stream(t.Context(), n.DeadStream())
	if err != nil || dead.CachedInfo().State.Msgs != 1 {
		t.Errorf("dead letters: %v, %v", dead.CachedInfo().State.Msgs, err)
	}
}

// Of a stream that was restored on three servers, each may name another creation time: when another one leads, what is
// new must not be taken for old.
func TestRestoredOnThreeServers(t *testing.T) {
	s, servers := newCluster(t)
	n := s.layout.Names
	r := s.startOwner("before")
	s.signIn("1001", "guid")
	s.publish(`{"id":"m","agent_ids":["1001","1002"],"flag":"true"}`)
	s.wait("the first is called for", func() bool { return len(s.gateway.made()) == 1 })
	r.finish()
	s.again(n.ChangesStream(), s.backup(n.ChangesStream()))
	r = s.startOwner("after")
	s.publish(`{"id":"new","agent_id":"1001","flag":"false"}`)
	s.wait("the new one is called for", func() bool { return len(s.gateway.made()) == 2 })
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
	s.startOwner("last")
	s.signIn("1002", "guid")
	s.waitFinished()
	s.wantEndings("applied 1001 m", "applied 1001 new", "applied 1001 newer", "applied 1002 m")
}

// The servers of a cluster say that a stream is restored a moment before its consumer is, which knows the incarnations.
func TestConsumerThatIsRestoredLate(t *testing.T) {
	s, _ := newCluster(t)
	ctx, name := t.Context(), s.layout.Names.ChangesStream()
	if _, err := s.layout.Ensure(ctx, s.js); err != nil {
		t.Fatal(err)
	}
	s.publish(`{"id":"one","agent_id":"1001","flag":"true"}`)
	looked := make(chan *nats.Msg, 64)
	if _, err := s.nc.ChanSubscribe("$JS.API.CONSUMER.INFO."+name+"."+consumerName, looked); err != nil {
		t.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	created := make(chan error, 1)
	go func() {
		<-looked
		<-looked // it was missing at the first look
		c := s.layout.consumer()
		c.Metadata = map[string]string{incarnationsKey: incarnations{{1, 1}}.String()}
		_, err := s.js.CreateConsumer(ctx, name, c)
		created <- err
	}()
	s.startOwner("after")
	if err := <-created; err != nil {
		t.Fatal(err)
	}
	c, err := s.js.Consumer(ctx, name, consumerName)
	if err != nil {
		t.Fatal(err)
	}
	if known := parseIncarnations(c.CachedInfo().Config.Metadata[incarnationsKey]); len(known) != 2 || known[0].number != 1 {
		t.Errorf("the consumer tells of the incarnations %v", known)
	}
}

// The first start of a site on one server, with changes that were published before, does not wait for a restore that takes
// a moment there.
func TestHowLongAConsumerMayFollow(t *testing.T) {
	cluster, _ := newCluster(t)
	for name, c := range map[string]struct {
		site *site
		want time.Duration
	}{
		"a server alone": {newSite(t), consumerLagAlone},
		"a cluster":      {cluster, consumerLagCluster},
	} {
		l, js := c.site.layout, c.site.js
		if _, err := l.Ensure(t.Context(), js); err != nil {
			t.Fatal(err)
		}
		if got := l.consumerLag(t.Context(), js); got != 0 {
			t.Errorf("%s: the consumer of an empty stream is waited for: %v", name, got)
		}
		c.site.publish(`{"agent_id":"1001","flag":"true"}`)
		if got := l.consumerLag(t.Context(), js); got != c.want {
			t.Errorf("%s: a missing consumer is waited for %v, want %v", name, got, c.want)
		}
	}
}
