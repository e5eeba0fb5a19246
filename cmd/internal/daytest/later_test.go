package daytest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// dayPlan is 8 changes for each agent: some in the next seconds, which stand for an hour of the day, the others tonight.
type dayPlan struct {
	agents []string
	first  time.Time
	step   time.Duration
	soon   int // how many of the 8 are due soon
}

const planned = 8

func (p dayPlan) at(n int) time.Time {
	if n < p.soon {
		return p.first.Add(time.Duration(n) * p.step)
	}
	return p.first.Add(time.Duration(n) * time.Hour)
}

func (p dayPlan) ids() []string {
	var ids []string
	for n := range planned {
		ids = append(ids, fmt.Sprintf("slot-%d", n))
	}
	return ids
}

// message is one agent's day. Two versions of it differ in their flags and instants, not in the ids.
func (p dayPlan) message(agent string, version int) item {
	m := item{}
	for n := range planned {
		at := p.at(n)
		if version == 1 {
			at = at.Add(5 * time.Minute) // the first version would have been later
		}
		m.Changes = append(m.Changes, item{
			Agent: agent, ID: fmt.Sprintf("slot-%d", n), Flag: fmt.Sprintf("v%d-%d", version, n), Effective: at,
		})
	}
	return m
}

// publishPlan publishes a message for each agent, without waiting for each to be stored.
func (s *site) publishPlan(p dayPlan, version int) {
	s.t.Helper()
	var stored []jetstream.PubAckFuture
	for _, agent := range p.agents {
		f, err := s.js.PublishAsync(s.names.Changes(), s.encoded(p.message(agent, version)))
		if err != nil {
			s.t.Fatal(err)
		}
		stored = append(stored, f)
	}
	for _, f := range stored {
		select {
		case ack := <-f.Ok():
			s.results.expect(ack.Sequence)
		case err := <-f.Err():
			s.t.Fatal(err)
		}
	}
}

// A day plan is loaded, replaced by a changed one and partly cancelled while no worker runs, and begins to come true.
func TestDayPlan(t *testing.T) {
	eachWay(t, func(s *site) {
		s.stalls = faulttest.WatchStalls(s.t)
		end := s.begin()
		p := dayPlan{agents: agents(scaled(60, 2000)), step: time.Duration(scaled(500, 4000)) * time.Millisecond, soon: 4}
		for _, agent := range p.agents {
			s.signIn(agent)
		}
		p.first = time.Now()
		s.publishPlan(p, 1)
		took := time.Since(p.first)
		all := planned * len(p.agents)
		s.wait("the plan waits", func() bool { return s.results.count(messages.Waiting, p.ids()...) == all })
		end()
		p.first = time.Now().Add(time.Duration(scaled(10, 20))*time.Second + 10*took) // after all of it is published, however slow the machine is
		s.publishPlan(p, 2)
		s.cancel(p.atHome(), "slot-1")
		if !time.Now().Before(p.first) {
			s.t.Fatal("the machine is too slow: the new plan came true before it was published")
		}
		s.begin()
		s.settled()
		ready := time.Now().Add(s.config.GatewayTimeout) // a killed worker's calls may land until then
		s.wait("the last slot of the hour is applied", func() bool { return s.results.count(messages.Applied, "slot-3") == len(p.agents) })
		s.wantNeverEarly(p)
		for n := p.soon; n < planned; n++ {
			s.cancel(p.agents, fmt.Sprintf("slot-%d", n))
		}
		s.waitFinished()
		s.wantPlan(p)
		s.wantBusy(p, ready)
		if n := s.results.numEnded(); n != 2*all+len(others) {
			s.t.Errorf("%d changes ended, want %d", n, 2*all+len(others))
		}
	})
}

// atHome are the agents who do not come for the second slot.
func (p dayPlan) atHome() []string {
	var home []string
	for i := 0; i < len(p.agents); i += 3 {
		home = append(home, p.agents[i])
	}
	return home
}

func (s *site) cancel(agents []string, id string) {
	s.t.Helper()
	s.results.noEnding(s.publish(item{Agents: agents, ID: id, Cancel: true}))
}

// wantNeverEarly wants that no call came before its instant.
func (s *site) wantNeverEarly(p dayPlan) {
	s.t.Helper()
	var latest, earliest time.Duration
	early := 0
	for _, c := range s.gateway.Calls() {
		var n int
		if slices.Contains(others, c.AgentID) {
			continue
		}
		if _, err := fmt.Sscanf(c.Flag, "v2-%d", &n); err != nil || n >= p.soon {
			s.t.Errorf("agent %s was called with %s", c.AgentID, c.Flag)
			continue
		}
		after := c.At.Sub(p.at(n))
		latest, earliest = max(latest, after), min(earliest, after)
		if after < 0 {
			early++
		}
	}
	if early > 0 {
		s.t.Errorf("%d calls came before their instant, by %v at most", early, -earliest)
	}
	s.t.Logf("of %d changes that were due at once the last was called %v after its instant", len(p.agents), latest.Round(time.Millisecond))
}

// wantPlan wants that each change of the first plan was replaced by the one of its id, that what was cancelled was not
// applied, and everything else was, unless the next slot came before its turn or before the gateway had answered.
func (s *site) wantPlan(p dayPlan) {
	s.t.Helper()
	home := p.atHome()
	for _, o := range []messages.Outcome{messages.Applied, messages.Superseded} {
		for _, e := range s.results.pick(0, o) {
			var version, n int
			if slices.Contains(others, e.AgentID) {
				continue
			}
			if _, err := fmt.Sscanf(e.Flag, "v%d-%d", &version, &n); err != nil {
				s.t.Fatal(err)
			}
			cancelled := version == 2 && (n >= p.soon || n == 1 && slices.Contains(home, e.AgentID))
			switch {
			case version == 1 && e.SupersededBy == e.ChangeID:
			case cancelled && o == messages.Superseded && e.Message == "cancelled" && e.SupersededBy == "":
			case version == 2 && !cancelled && (o == messages.Applied || n < p.soon-1 && e.SupersededBy > e.ChangeID):
			default:
				s.t.Errorf("agent %s: %s of %s ended as %s: %s, by %q", e.AgentID, e.ChangeID, e.Flag, o, e.Message, e.SupersededBy)
			}
		}
	}
	stale := s.gateway.Calls().OutOfOrder(func(a, b gatewaytest.Call) int { return strings.Compare(a.Flag, b.Flag) })
	if len(stale) > 0 {
		s.t.Errorf("%d older flags were set after newer ones, the first is %+v", len(stale), stale[0])
	}
}

// wantBusy wants that the next slot found changes whose turn had not come only where the worker was calling until then:
// how many calls it can make before that is up to the machine, but it must not rest while something is due.
func (s *site) wantBusy(p dayPlan, ready time.Time) {
	s.t.Helper()
	calls := s.gateway.Calls()
	for n := range p.soon - 1 {
		next, passed := p.at(n+1), 0
		for _, e := range s.results.pick(0, messages.Superseded) {
			if e.Flag == fmt.Sprintf("v2-%d", n) && e.SupersededBy > e.ChangeID {
				passed++
			}
		}
		if passed == 0 {
			continue
		}
		last := p.at(n)
		for _, c := range calls {
			if c.At.After(last) && c.At.Before(next) {
				last = c.At
			}
		}
		s.t.Logf("slot-%d: %d changes did not have their turn, calls went out until %v before the next", n, passed, next.Sub(last))
		if *full && ready.Before(p.at(n)) && next.Sub(last) > p.step/2+s.stalls.Within(last, next) {
			s.t.Errorf("slot-%d: %d changes were not called for, and yet nothing was called for %v", n, passed, next.Sub(last))
		}
	}
}

// instantAhead is in how long a single change takes effect: long after a busy machine has handed it to the worker.
const instantAhead = 15 * time.Second

// One change that is due later, alone on an idle site: never early, and hardly late.
func TestLaterIsOnTime(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.start()
	s.settled()
	s.known(agent, s.signIn(agent))
	at := time.Now().Add(instantAhead)
	seq := s.publish(item{Agent: agent, Flag: "false", ID: "later", Effective: at})
	s.wait("it is applied", func() bool { return s.results.has(seq, messages.Applied) })
	called := s.gateway.CallsOf(agent)[0].At
	after := called.Sub(at)
	t.Logf("called %v after its instant", after)
	if after < 0 || *full && after > 100*time.Millisecond+s.stalls.Within(at, called) {
		t.Errorf("called %v after its instant, want 0 to 100 ms", after)
	}
	s.wantResults("waiting later, applied later")
	if r := s.results.pick(seq, messages.Applied)[0]; !r.EffectiveAt.Equal(at) {
		t.Errorf("effective_at %v, want %v", r.EffectiveAt, at)
	}
}

// The agent is not there when the change takes effect: it has waited for its instant, then it waits for the sign-in.
func TestLaterThenSignIn(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.start()
	s.settled()
	seq := s.publish(item{Agent: agent, Flag: "false", ID: "later", Effective: time.Now().Add(instantAhead)})
	s.wait("it waits for both in turn", func() bool { return len(s.results.pick(seq, messages.Waiting)) == 2 })
	s.signIn(agent)
	s.waitFinished()
	s.wantResults("waiting later, waiting later, applied later")
}

// Thousands are due in the same second: those that are pointless soonest go first. Nothing goes out before all are due,
// and then one after another, so that their order does not depend on the machine.
func TestEarliestDeadlineFirst(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.config.MaxInFlight = 1
	s.start()
	s.settled()
	if _, err := s.desk.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	at, all := time.Now().Add(time.Second), agents(scaled(60, 2000))
	until := map[string]time.Time{}
	m := item{Flag: "false"}
	for i, agent := range all {
		s.signIn(agent)
		until[agent] = at.Add(10*time.Minute + time.Duration(i*7919%len(all))*time.Second)
		m.Changes = append(m.Changes, item{Agent: agent, Effective: at, Until: until[agent]})
	}
	s.publish(m)
	s.wait("all are due", func() bool {
		v, err := s.desk.Status(t.Context())
		return err == nil && v.View.Due == len(all)
	})
	s.gateway.Reset()
	if _, err := s.desk.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.waitFinished()
	calls := s.gateway.Calls()
	if len(calls) != len(all) {
		t.Errorf("%d calls for %d changes", len(calls), len(all))
	}
	if !slices.IsSortedFunc(calls, func(a, b gatewaytest.Call) int { return until[a.AgentID].Compare(until[b.AgentID]) }) {
		t.Error("a change went out before one with an earlier valid_until")
	}
}
