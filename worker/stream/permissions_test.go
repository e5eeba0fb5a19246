package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

// prepare creates what the worker creates, and one session to steal.
func (g *guarded) prepare() jetstream.JetStream {
	g.t.Helper()
	nc := g.as(theWorker)
	layout := stream.Layout{Names: guardedNames, Retention: time.Hour, Takeover: 3 * time.Second}
	if _, err := stream.Prepare(g.t.Context(), nc, layout); err != nil {
		g.t.Fatal(err)
	}
	js := natstest.JetStream(g.t, nc)
	if _, err := layout.Consumer(g.t.Context(), js); err != nil {
		g.t.Fatal(err)
	}
	g.signIn(sessions, "1001")
	return natstest.JetStream(g.t, g.as(admin))
}

const stolen = "guid-worth-stealing"

func (g *guarded) signIn(user, agent string) {
	g.t.Helper()
	if _, err := g.bucketOf(user).PutString(g.t.Context(), agent, stolen); err != nil {
		g.t.Fatalf("%s writes a session: %v", user, err)
	}
}

// What each of the others is there for works. What worker and operator do has tests of its own.
func TestPermissionsAllow(t *testing.T) {
	g := newGuarded(t)
	all := g.prepare()
	t.Run("publisher", func(t *testing.T) {
		js := natstest.JetStream(t, g.as(publisher))
		for i, subject := range []string{"idlepolicy.changes", "idlepolicy.changes.wfm.north"} {
			ack, err := js.Publish(t.Context(), subject, []byte(`{"agent_id":"1001","flag":"true"}`), jetstream.WithMsgID(subject))
			if err != nil || ack.Sequence != uint64(i+1) || ack.Stream != guardedNames.ChangesStream() {
				t.Errorf("%s: %+v, %v", subject, ack, err)
			}
		}
		ack, err := js.Publish(t.Context(), "idlepolicy.changes", []byte(`{}`), jetstream.WithMsgID("idlepolicy.changes"))
		if err != nil || !ack.Duplicate {
			t.Errorf("the same message again: %+v, %v", ack, err)
		}
	})
	t.Run("sessions", func(t *testing.T) {
		kv := g.bucketOf(sessions)
		if err := kv.Delete(t.Context(), "1001"); err != nil {
			t.Errorf("sign out: %v", err)
		}
		g.signIn(sessions, "1001")
	})
	t.Run("tap", func(t *testing.T) { g.tap(t) })
	t.Run("observer", func(t *testing.T) { g.observe(t, all) })
	if said := g.refused.all(); len(said) > 0 {
		t.Errorf("the server refused: %s", strings.Join(said, "\n"))
	}
}

// tap does what idletap does: two of them write and read sessions, and ask each other.
func (g *guarded) tap(t *testing.T) {
	t.Helper()
	var taps []*stream.Registry
	for range 2 {
		r, err := stream.OpenRegistry(t.Context(), g.options(theTap), guardedNames)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		taps = append(taps, r)
	}
	rec, err := taps[0].Get(t.Context(), "1001")
	if err != nil || rec.Session.GUID != stolen {
		t.Fatalf("read a session: %v", err)
	}
	if rec.Rev, err = taps[0].Put(t.Context(), "1001", rec); err != nil {
		t.Fatalf("write a session: %v", err)
	}
	if _, err := taps[1].Put(t.Context(), "1001", stream.SessionRecord{Rev: rec.Rev - 1}); !errors.Is(err, stream.ErrRevision) {
		t.Errorf("write with an old revision: %v", err)
	}
	if agents, err := taps[1].Agents(t.Context()); err != nil || len(agents) != 1 {
		t.Errorf("list the agents: %v, %v", agents, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	seen, over := make(chan []string, 10), make(chan error, 2)
	for _, r := range taps {
		go func() {
			over <- r.Attend(ctx, func(agents []string) []string { return agents[:1] }, func(agents []string) { seen <- agents }, func() {})
		}()
	}
	for asked := false; !asked; {
		if err := taps[0].Ask(t.Context(), []string{"1001", "1002"}); err != nil {
			t.Fatal(err)
		}
		select {
		case agents := <-seen:
			asked = len(agents) == 1 && agents[0] == "1001"
		case <-time.After(10 * time.Millisecond): // nobody attends yet
		}
	}
	stop()
	for range taps {
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
}

func (g *guarded) bucketOf(user string) jetstream.KeyValue {
	g.t.Helper()
	js := natstest.JetStream(g.t, g.as(user))
	kv, err := js.KeyValue(g.t.Context(), guardedNames.SessionsBucket())
	if err != nil {
		g.t.Fatalf("%s opens the bucket of sessions: %v", user, err)
	}
	return kv
}

func (g *guarded) observe(t *testing.T, all jetstream.JetStream) {
	t.Helper()
	nc := g.as(observer)
	live, err := nc.SubscribeSync("idlepolicy.result.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := all.Publish(t.Context(), "idlepolicy.result.applied.1001", []byte(`{"outcome":"applied"}`)); err != nil {
		t.Fatal(err)
	}
	if m, err := live.NextMsg(natstest.Patience); err != nil || m.Subject != "idlepolicy.result.applied.1001" {
		t.Errorf("a result as it comes: %+v, %v", m, err)
	}
	js := natstest.JetStream(t, nc)
	results, err := js.Stream(t.Context(), guardedNames.ResultsStream())
	if err != nil {
		t.Fatal(err)
	}
	if m, err := results.GetLastMsgForSubject(t.Context(), "idlepolicy.result.*.1001"); err != nil || len(m.Data) == 0 {
		t.Errorf("a stored result: %+v, %v", m, err)
	}
	kv, err := js.KeyValue(t.Context(), guardedNames.AppliedBucket())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(t.Context(), "1002"); err == nil || !strings.Contains(err.Error(), "key not found") {
		t.Errorf("what is in force for an agent without any: %v", err)
	}
}

// Every way that JetStream has to what is in a stream.
func waysInto(name, subject string) []string {
	return []string{
		"$JS.API.STREAM.MSG.GET." + name, "$JS.API.DIRECT.GET." + name, "$JS.API.DIRECT.GET." + name + "." + subject,
		"$JS.API.CONSUMER.CREATE." + name, "$JS.API.CONSUMER.CREATE." + name + ".thief",
		"$JS.API.CONSUMER.CREATE." + name + ".thief." + subject, "$JS.API.CONSUMER.DURABLE.CREATE." + name + ".thief",
		"$JS.API.CONSUMER.MSG.NEXT." + name + ".thief", "$JS.API.STREAM.SNAPSHOT." + name, "$JS.API.STREAM.RESTORE." + name,
		"$JS.API.CONSUMER.LIST." + name, "$JS.API.CONSUMER.NAMES." + name,
	}
}

// Ways to take what is stored away or to change where it goes.
func waysToChange(name string) []string {
	return []string{
		"$JS.API.STREAM.UPDATE." + name, "$JS.API.STREAM.DELETE." + name, "$JS.API.STREAM.PURGE." + name,
		"$JS.API.STREAM.MSG.DELETE." + name, "$JS.API.STREAM.LEADER.STEPDOWN." + name, "$JS.API.STREAM.PEER.REMOVE." + name,
	}
}

// Ways to take the place of the worker: its messages, their acknowledgements, its pin.
func waysToTheWorker() []string {
	name := guardedNames.ChangesStream()
	return []string{
		"$JS.API.CONSUMER.MSG.NEXT." + name + ".worker", "$JS.API.CONSUMER.RESET." + name + ".worker",
		"$JS.API.CONSUMER.UNPIN." + name + ".worker", "$JS.API.CONSUMER.DELETE." + name + ".worker",
		"$JS.API.CONSUMER.PAUSE." + name + ".worker", "$JS.API.CONSUMER.CREATE." + name + ".worker",
		"$JS.API.CONSUMER.DURABLE.CREATE." + name + ".worker", "$JS.API.CONSUMER.CREATE." + name + ".thief",
		"$JS.ACK." + name + ".worker.1.1.1.1.0", "$JS.ACK._.hash." + name + ".worker.1.1.1.1.0",
		"$KV.idlepolicy_control.owner", "$KV.idlepolicy_control.controls",
		"idlepolicy.result.applied.1001", "idlepolicy.batch.b1", "idlepolicy.dead.1001", "$KV.idlepolicy_applied.1001",
	}
}

// A mirror, or a stream with a source, would copy what its maker may not read.
func waysToCopy() []string {
	return []string{"$JS.API.STREAM.CREATE.THEFT", "$JS.API.STREAM.CREATE.KV_theft", "$JS.API.STREAM.UPDATE.THEFT"}
}

func TestPermissionsRefuse(t *testing.T) {
	g := newGuarded(t)
	g.prepare()
	var inside, streams []string
	for _, name := range []string{"CHANGES", "RESULTS", "DEAD"} {
		streams = append(streams, waysToChange("IDLEPOLICY_"+name)...)
	}
	for _, name := range []string{"sessions", "control", "applied"} {
		streams = append(streams, waysToChange("KV_idlepolicy_"+name)...)
	}
	inside = append(inside, waysInto("KV_idlepolicy_control", "$KV.idlepolicy_control.owner")...)
	theft := waysInto("KV_idlepolicy_sessions", "$KV.idlepolicy_sessions.1001")
	changes := append(waysInto("IDLEPOLICY_CHANGES", "idlepolicy.changes"), waysInto("IDLEPOLICY_DEAD", "idlepolicy.dead.1001")...)
	asking := []string{"idlepolicy.ctl.pause", "idlepolicy.ctl.status", "idlepolicy.ctl.among.agent", "_INBOX.x", "_R_.x"}
	for _, who := range []struct {
		user     string
		send     [][]string
		listenTo []string
	}{
		{
			publisher,
			[][]string{theft, waysToTheWorker(), waysToCopy(), streams, inside, changes, asking, {"$KV.idlepolicy_sessions.1001"}},
			[]string{"idlepolicy.changes", "idlepolicy.result.>", "$KV.>", ">", "$JS.>", "_R_.>"},
		},
		{
			sessions,
			[][]string{theft, waysToTheWorker(), waysToCopy(), streams, inside, changes, asking, {"idlepolicy.changes"}},
			[]string{"$KV.idlepolicy_sessions.>", "$KV.idlepolicy_sessions.1001", "$KV.>", ">", "idlepolicy.>", "_R_.>"},
		},
		{
			theTap,
			[][]string{
				except(theft, "$JS.API.STREAM.MSG.GET.KV_idlepolicy_sessions"), waysToTheWorker(), waysToCopy(), streams, inside, changes,
				asking,
				{"idlepolicy.changes", "idlepolicy.tap.other"},
			},
			[]string{"$KV.idlepolicy_sessions.>", "$KV.>", ">", "idlepolicy.>", "idlepolicy.result.>", "_R_.>"},
		},
		{
			observer,
			[][]string{
				theft, waysToTheWorker(), waysToCopy(), streams, inside, changes, asking,
				{"idlepolicy.changes", "$KV.idlepolicy_sessions.1001", "$JS.API.CONSUMER.CREATE.IDLEPOLICY_RESULTS.thief"},
			},
			[]string{"idlepolicy.changes", "$KV.>", ">", "_R_.>"},
		},
		{
			operator,
			[][]string{waysToTheWorker(), waysToCopy(), except(streams, "$JS.API.STREAM.MSG.DELETE.IDLEPOLICY_DEAD"), {
				"_INBOX.x", "idlepolicy.ctl.among.agent", "$JS.API.STREAM.SNAPSHOT.KV_idlepolicy_sessions",
				"$JS.API.STREAM.MSG.GET.IDLEPOLICY_CHANGES", "$JS.API.STREAM.CREATE.IDLEPOLICY_CHANGES",
			}},
			[]string{"$KV.>", ">", "idlepolicy.ctl.>"},
		},
		{
			theWorker,
			[][]string{waysToCopy(), streams, {
				"idlepolicy.changes.x", "$KV.idlepolicy_sessions.1001", "$KV.idlepolicy_applied.1001",
				"$JS.API.STREAM.SNAPSHOT.KV_idlepolicy_sessions", "$JS.API.CONSUMER.DELETE.IDLEPOLICY_CHANGES.worker",
				"$JS.API.CONSUMER.CREATE.IDLEPOLICY_CHANGES.other",
			}},
			[]string{"$KV.>", ">", "idlepolicy.changes"},
		},
	} {
		nc := g.as(who.user)
		for _, subjects := range who.send {
			for _, subject := range subjects {
				if !isRefused(t, nc, subject, nc.PublishRequest(subject, nc.NewInbox(), []byte(`{}`))) {
					t.Errorf("%s may publish to %s", who.user, subject)
				}
			}
		}
		for _, subject := range who.listenTo {
			_, err := nc.SubscribeSync(subject)
			if !isRefused(t, nc, subject, err) {
				t.Errorf("%s may subscribe to %s", who.user, subject)
			}
		}
	}
}

func except(list []string, one string) (rest []string) {
	for _, s := range list {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}

// isRefused needs no time-out: the server's word about a message comes before its answer to the ping that follows.
func isRefused(t *testing.T, nc *nats.Conn, subject string, err error) bool {
	t.Helper()
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	last := nc.LastError()
	mapped := strings.Replace(subject, "$JS.API.", "site.api.", 1) // as accounts without JetStream have it
	return last != nil && (strings.Contains(last.Error(), fmt.Sprintf("%q", subject)) || strings.Contains(last.Error(), fmt.Sprintf("%q", mapped)))
}

// Whatever others listen to, they do not hear the sessions that operator and worker read.
func TestSessionsAreNotOverheard(t *testing.T) {
	g := newGuarded(t)
	g.prepare()
	type listener struct {
		nc  *nats.Conn
		sub *nats.Subscription
	}
	var listeners []listener
	for _, user := range []string{publisher, sessions, observer} {
		nc := g.as(user)
		sub, err := nc.SubscribeSync("_INBOX.>")
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, listener{nc, sub})
		t.Cleanup(func() {
			if err := nc.LastError(); err != nil {
				t.Errorf("%s did not listen: %v", user, err)
			}
		})
	}
	d, err := desk.Open(t.Context(), g.options(operator), guardedNames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	guid := ""
	if err := d.Sessions(t.Context(), func(e desk.SessionEntry) error { guid = e.Session.GUID; return nil }); err != nil || guid != stolen {
		t.Errorf("the operator reads all sessions: %v", err)
	}
	tap, err := stream.OpenRegistry(t.Context(), g.options(theTap), guardedNames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tap.Close)
	if rec, err := tap.Get(t.Context(), "1001"); err != nil || rec.Session.GUID != stolen {
		t.Fatalf("the tap reads a session: %v", err)
	}
	for _, l := range listeners {
		if err := l.nc.Flush(); err != nil { // what it hears has come when this is answered
			t.Fatal(err)
		}
		n, _, _ := l.sub.Pending()
		for range n {
			if m, err := l.sub.NextMsg(natstest.Patience); err != nil || bytes.Contains(m.Data, []byte(stolen)) {
				t.Errorf("overheard: %+v, %v", m, err)
			}
		}
	}
}

// The server answers a stored change on whatever subject came with it. That must not become a message of the site.
func TestAnswersCannotBeAimed(t *testing.T) {
	g := newGuarded(t)
	all := g.prepare()
	before := g.stored(all)
	nc := g.as(publisher)
	for _, aim := range []string{
		"$KV.idlepolicy_sessions.1001", "$KV.idlepolicy_control.controls", "idlepolicy.result.applied.1001",
		"idlepolicy.dead.1001", "$JS.API.STREAM.DELETE.IDLEPOLICY_RESULTS", "$JS.API.STREAM.PURGE.IDLEPOLICY_RESULTS",
		"idlepolicy.ctl.pause",
	} {
		if err := nc.PublishRequest("idlepolicy.changes", aim, []byte(`{"agent_id":"1001","flag":"true"}`)); err != nil {
			t.Fatal(err)
		}
	}
	js := natstest.JetStream(t, nc)
	if _, err := js.Publish(t.Context(), "idlepolicy.changes", []byte(`{}`)); err != nil { // answered after all others
		t.Fatal(err)
	}
	after := g.stored(all)
	for name, n := range before {
		if after[name] != n {
			t.Errorf("stream %s went from %d to %d", name, n, after[name])
		}
	}
}

// stored is the last sequence of each stream but that of the changes.
func (g *guarded) stored(all jetstream.JetStream) map[string]uint64 {
	g.t.Helper()
	last := map[string]uint64{}
	for _, name := range []string{"IDLEPOLICY_RESULTS", "IDLEPOLICY_DEAD", "KV_idlepolicy_sessions", "KV_idlepolicy_control"} {
		s, err := all.Stream(g.t.Context(), name)
		if err != nil {
			g.t.Fatal(err)
		}
		last[name] = s.CachedInfo().State.LastSeq
	}
	return last
}
