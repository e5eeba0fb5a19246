package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// throughProxy is a site whose replicas reach the server through a proxy.
func throughProxy(t *testing.T) (*site, *proxy) {
	t.Helper()
	s := newSite(t)
	s.proxy = newProxy(t, s.server.ClientURL())
	return s, s.proxy
}

// The server stores the result, and its answer never arrives: what the owner does not know, the ledger tells it.
func TestLostAcknowledgementOfAResult(t *testing.T) {
	s, p := throughProxy(t)
	s.gateway.answer = func(worker.Call) worker.Answer {
		p.silence()
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	s.startOwner("a")
	s.signIn("1001", "g")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("the result is stored", func() bool { return len(s.results()) == 1 })
	s.wait("the answer is lost", func() bool { return p.lostBytes() > 0 })
	p.cut()
	s.waitFinished()
	s.wantResults("applied 1001 c1")
	if n := len(s.gateway.made()); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// A connection that is cut again and again: each time the owner takes over from itself.
func TestConnectionIsCut(t *testing.T) {
	s, p := throughProxy(t)
	s.policy.Rate = 300
	s.startOwner("a")
	for i := range 20 {
		s.signIn(strconv.Itoa(1001+i), "g")
	}
	var all []uint64
	for round := range 4 {
		calls := len(s.gateway.made())
		for i := range 100 {
			all = append(all, s.publish(fmt.Sprintf(`{"agent_id":"%d","flag":"%d"}`, 1001+i%20, 100*round+i)))
		}
		s.wait("calls are made", func() bool { return len(s.gateway.made()) > calls })
		p.cut()
	}
	s.waitFinished()
	s.wantOneEndingEach(all)
	last := map[string]int{}
	for _, c := range s.gateway.made() {
		agent, rest, _ := strings.Cut(c, " ")
		number, _, _ := strings.Cut(rest, " ")
		flag, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		if flag < last[agent] {
			t.Errorf("agent %s: %d was sent after %d", agent, flag, last[agent])
		}
		last[agent] = flag
	}
}

func TestServerOutage(t *testing.T) {
	s, p := throughProxy(t)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.waitFinished()
	p.setDown(true)
	s.wait("it says so", func() bool { return a.owner.State().Trouble != "" })
	s.wait("it makes no calls", func() bool { return a.owner.Lease.Check() != nil })
	s.publish(`{"agent_id":"1001","flag":"g","id":"c2"}`)
	p.setDown(false)
	s.waitFinished()
	s.wantResults("applied 1001 c1", "applied 1001 c2")
	s.wait("it says that all is well", func() bool { return a.owner.State().Trouble == "" })
}

// An owner that hears nothing more makes no calls; a standby takes its place while it still waits.
func TestSilentConnection(t *testing.T) {
	s, p := throughProxy(t)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	p.silence()
	s.proxy = nil
	b := s.start("b")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.waitOwner(b)
	if err := a.owner.Lease.Check(); !errors.Is(err, ErrNoLease) {
		t.Errorf("two replicas may call: %v", err)
	}
	p.cut()
	s.wait("a stands by for b", func() bool { st := a.owner.State(); return st.Role == view.RoleStandby && st.Owner == "b" })
	s.waitFinished()
	s.wantResults("applied 1001 c1")
}

// A disk, or a network, that lets everybody wait for longer than the lease lasts, and loses nothing.
func TestEverythingStalls(t *testing.T) {
	s, p := throughProxy(t)
	resume := func() {}
	calls := 0
	s.gateway.answer = func(worker.Call) worker.Answer { // one at a time
		if calls++; calls == 5 {
			resume = p.stall()
		}
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	s.policy.MaxInFlight = 1
	a := s.startOwner("a")
	var all []uint64
	for i := range 10 {
		agent := strconv.Itoa(1001 + i)
		s.signIn(agent, "g")
		all = append(all, s.publish(`{"agent_id":"`+agent+`","flag":"f"}`))
	}
	s.wait("the lease has run out", func() bool { return len(s.gateway.made()) >= 5 && a.owner.Lease.Check() != nil })
	s.wait("it says so", func() bool { return a.owner.State().Trouble != "" })
	resume()
	s.waitFinished()
	s.wantOneEndingEach(all)
	if n := len(s.gateway.made()); n < 10 || n > 11 {
		t.Errorf("%d calls for 10 changes", n) // one that was under way may be made again
	}
}

// What was missed while nobody was connected is found: a session rotated, another one gone.
func TestSessionsAreReadFromScratchAfterAReconnect(t *testing.T) {
	s, p := throughProxy(t)
	a := s.startOwner("a")
	s.signIn("1001", "old")
	s.signIn("1002", "gone")
	known := a.owner.Worker.Sessions
	p.setDown(true)
	s.signIn("1001", "new")
	s.signIn("1003", "g")
	kv, err := s.js.KeyValue(t.Context(), s.layout.Names.SessionsBucket())
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(context.Background(), "1002"); err != nil {
		t.Fatal(err)
	}
	p.setDown(false)
	guid := func(agent string) string { session, _ := known.Of(agent); return session.GUID }
	s.wait("they are as they are now", func() bool {
		return guid("1001") == "new" && guid("1002") == "" && guid("1003") == "g"
	})
}

// A server, or a network, that hangs: the connection stays, and nothing is answered. State says so in plain words within
// seconds, and nothing of the library's buffers.
func TestConnectionThatHangs(t *testing.T) {
	s, p := throughProxy(t)
	log := &notebook{}
	s.log = slog.NewTextHandler(log, nil)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	resume := p.stall()
	s.wait("State says so", func() bool { return strings.Contains(a.owner.State().Trouble, "NATS") })
	s.wait("the log says so", func() bool { return len(log.lines("the NATS server does not answer although it is connected")) > 0 })
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	if said := append(log.lines("buffer"), a.owner.State().Trouble); strings.Contains(strings.Join(said, ""), "buffer") {
		t.Errorf("said of buffers: %q", said)
	}
	resume()
	s.waitFinished()
	s.wait("it is over", func() bool { return a.owner.State().Trouble == "" })
	s.wantResults("applied 1001 c1")
}
