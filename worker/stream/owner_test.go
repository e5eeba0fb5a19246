package stream

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker"
)

func TestChangeIsAppliedAndAcknowledged(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g1")
	s.publish(`{"agent_id":"1001","flag":"false","id":"c1"}`)
	s.waitFinished()
	s.wantResults("applied 1001 c1")
}

func TestNothingIsDoubledByATakeover(t *testing.T) {
	s := newSite(t)
	s.policy.Rate = 400
	a := s.startOwner("a")
	for i := range 50 {
		s.signIn(strconv.Itoa(1001+i), "g")
	}
	for i := range 500 {
		s.publish(fmt.Sprintf(`{"agent_id":"%d","flag":"f%d"}`, 1001+i%50, i))
	}
	b := s.start("b")
	s.wait("some are applied", func() bool { return len(s.gateway.made()) > 20 })
	a.finish()
	s.waitOwner(b)
	s.waitFinished()
	ended := map[uint64]int{}
	last := map[string]string{}
	for _, r := range s.results() {
		if r.Outcome.Ends() {
			ended[r.ChangeSeq]++
		}
		if r.Outcome == "applied" {
			last[r.AgentID] = r.Flag
		}
	}
	for seq := range ended {
		if ended[seq] != 1 {
			t.Errorf("change %d has %d endings", seq, ended[seq])
		}
	}
	if len(last) != 50 {
		t.Errorf("%d of 50 agents have a policy", len(last))
	}
	for agent, flag := range last {
		n, err := strconv.Atoi(agent)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("f%d", 450+n-1001); flag != want {
			t.Errorf("agent %s has %s, want %s", agent, flag, want)
		}
	}
}

func TestServerRestart(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g1")
	s.publish(`{"agent_id":"1001","flag":"a"}`, jetstream.WithMsgID("m1"))
	s.wait("it is applied", func() bool { return len(s.results()) == 1 })
	s.publish(`{"agent_id":"1002","flag":"a"}`, jetstream.WithMsgID("m2"))
	s.wait("one result and one waiting", func() bool { return len(s.results()) == 2 })
	s.restartServer()
	s.wait("connected again", s.nc.IsConnected)
	s.publish(`{"agent_id":"1001","flag":"a"}`, jetstream.WithMsgID("m1")) // the server has forgotten it
	s.publish(`{"agent_id":"1001","flag":"b"}`, jetstream.WithMsgID("m3"))
	s.signIn("1002", "g2")
	s.waitFinished()
	s.wantResults("applied 1001 m1", "waiting 1002 m2", "applied 1001 m3", "applied 1002 m2")
}

func TestDeadLetter(t *testing.T) {
	s := newSite(t)
	s.gateway.answer = func(worker.Call) worker.Answer {
		return worker.Answer{Class: worker.Refused, Retcode: "000-002", Message: "no"}
	}
	s.startOwner("a")
	s.signIn("1001", "g1")
	s.publish(`{"agent_id":"1001","flag":"f","id":"x"}`)
	s.publish(`garbage`)
	s.waitFinished()
	st, _ := s.js.Stream(t.Context(), s.layout.Names.DeadStream())
	if n := st.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("%d dead letters", n)
	}
	m, err := st.GetLastMsgForSubject(t.Context(), s.layout.Names.Dead("unknown"))
	if err != nil || string(m.Data) != "garbage" {
		t.Errorf("%v %v", m, err)
	}
}
