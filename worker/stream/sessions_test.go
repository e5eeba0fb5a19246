package stream

import (
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// signInFor signs an agent in with a session that the server drops after a while.
func (s *site) signInFor(agent, guid, ttl string) {
	s.t.Helper()
	m := nats.NewMsg("$KV." + s.layout.Names.SessionsBucket() + "." + agent)
	m.Data = []byte(guid)
	m.Header.Set("Nats-TTL", ttl)
	if _, err := s.js.PublishMsg(s.t.Context(), m); err != nil {
		s.t.Fatal(err)
	}
}

// A session whose time runs out is a sign-out, and the next one a sign-in.
func TestSessionWhoseTimeRunsOut(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	sessions := a.owner.Worker.Sessions
	s.signIn("1001", "g1")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.waitFinished()
	s.signInFor("1001", "g1", "1s")
	s.wait("the agent is signed out", func() bool { return sessions.Len() == 0 })
	s.signInFor("1001", "g2", "1h")
	s.wait("it is reapplied", func() bool { return len(s.results()) == 2 })
	s.wantResults("applied 1001 c1", "reapplied 1001 c1")
}

// What an operator does to the whole bucket tells of no agent: a purge signs all out, and a bucket that is deleted is made
// again, so that they can sign in.
func TestBucketOfSessionsThatIsPurgedOrDeleted(t *testing.T) {
	s := newSite(t)
	sessions := s.startOwner("a").owner.Worker.Sessions
	signedOut := func() bool { return sessions.Len() == 0 }
	s.signIn("1001", "g1")
	s.wait("the agent is signed in", func() bool { return !signedOut() })
	bucket, err := s.js.Stream(t.Context(), "KV_"+s.layout.Names.SessionsBucket())
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wait("the agent is signed out by the purge", signedOut)
	s.signIn("1001", "g2")
	s.wait("the agent is signed in again", func() bool { return !signedOut() })
	if err := s.js.DeleteKeyValue(t.Context(), s.layout.Names.SessionsBucket()); err != nil {
		t.Fatal(err)
	}
	s.wait("the agent is signed out with the bucket", signedOut)
	s.publish(`{"id":"c1","agent_id":"1001","flag":"true"}`)
	s.signIn("1001", "g3")
	s.waitFinished()
	if calls := s.gateway.made(); len(calls) != 1 || calls[0] != "1001 true g3" {
		t.Errorf("calls: %q", calls)
	}
}

// A bucket that was created with roll-ups is reported and left as it is: somebody may have meant it.
func TestBucketThatAllowsRollUpsIsReported(t *testing.T) {
	s := newSite(t)
	open := s.layout.sessions()
	open.AllowRollup = true
	if _, err := s.js.CreateStream(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	differs, err := s.layout.Ensure(t.Context(), s.js)
	if err != nil {
		t.Fatal(err)
	}
	if len(differs) != 1 || !strings.Contains(differs[0], "roll-ups true, the worker would choose false") {
		t.Errorf("reported: %q", differs)
	}
}

// One record with a roll-up header must not remove the records of all other agents, nor those of the workers.
func TestRollUpHeaderRemovesNoOtherRecord(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g1")
	names := s.layout.Names
	for _, bucket := range []string{names.SessionsBucket(), names.ControlBucket()} {
		before, err := s.js.Stream(t.Context(), "KV_"+bucket)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"all", "sub"} {
			m := nats.NewMsg("$KV." + bucket + ".1300")
			m.Data = []byte("x")
			m.Header.Set("Nats-Rollup", kind)
			if _, err := s.js.PublishMsg(t.Context(), m); err == nil {
				t.Errorf("%s took a roll-up of %s", bucket, kind)
			}
		}
		after, err := before.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if had := before.CachedInfo().State.NumSubjects; after.State.NumSubjects != had {
			t.Errorf("%s has %d keys, want %d", bucket, after.State.NumSubjects, had)
		}
	}
}

// Whoever mixes key and value up has written a credential where the agent should be: it is not logged either.
func TestGUIDInThePlaceOfTheAgentIsNotLogged(t *testing.T) {
	s := newSite(t)
	log := &notebook{}
	s.log = slog.NewTextHandler(log, nil)
	s.startOwner("a")
	const guid = "6F9619FF-8B86-D011-B42D-00CF4FC964FF"
	for _, key := range []string{guid, "boss"} {
		m := nats.NewMsg("$KV." + s.layout.Names.SessionsBucket() + "." + key)
		m.Data = []byte("1001")
		if _, err := s.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	s.wait("the other one is told", func() bool { return len(log.lines("key=boss")) == 1 })
	if told := log.lines("unusable session"); len(told) != 2 || len(log.lines(guid[:4])) > 0 {
		t.Errorf("told %q", told)
	}
}

// A writer of sessions cannot fill the log.
func TestUnusableSessionsDoNotFillTheLog(t *testing.T) {
	s := newSite(t)
	log := &notebook{}
	s.log = slog.NewTextHandler(log, nil)
	sessions := s.startOwner("a").owner.Worker.Sessions
	began := time.Now()
	for i := range 3 * linesAMinute {
		s.putSession(strconv.Itoa(2001+i), `{"guid":`)
	}
	s.signIn("1002", "g1")
	s.wait("all was read", func() bool { return sessions.Len() == 1 })
	most := linesAMinute * (1 + int(time.Since(began)/time.Minute))
	if n := len(log.lines("unusable session\"")); n == 0 || n > most {
		t.Errorf("%d lines", n)
	}
	if n := len(log.lines("further unusable sessions")); n == 0 || n > most/linesAMinute {
		t.Errorf("it says %d times that lines are left out", n)
	}
}

// A record with a field that cannot be used counts, and each kind of such a field is logged once, however many records have it.
func TestSessionsWithUnusableFieldsCount(t *testing.T) {
	s := newSite(t)
	log := &notebook{}
	s.log = slog.NewTextHandler(log, nil)
	s.startOwner("a")
	for _, agent := range []string{"1001", "1002", "1003"} {
		s.signIn(agent, `{"guid":"g-`+agent+`","signed_in_at":1795424400,"cookies":["very secret"]}`)
	}
	if told := log.lines("part of a session cannot be used"); len(told) != 2 || len(log.lines("very secret")) > 0 {
		t.Errorf("told %q", told)
	}
}
