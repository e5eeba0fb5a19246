package main_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// crowd is many agents with several changes each: the flag of a change says which of its agent's it is.
type crowd struct {
	agents, rounds int
	together       int // changes in one message
}

func (c crowd) changes() int { return c.agents * c.rounds }
func agentNo(i int) string   { return strconv.Itoa(1001 + i) }
func round(n int) string     { return fmt.Sprintf("n%03d", n) }

func (c crowd) signIn(s *site) {
	s.t.Helper()
	for i := range c.agents {
		s.signIn(agentNo(i))
	}
}

// publish publishes one round for all agents after the other.
func (c crowd) publish(s *site) {
	s.t.Helper()
	var last jetstream.PubAckFuture
	for n := 1; n <= c.rounds; n++ {
		for first := 0; first < c.agents; first += c.together {
			var items []string
			for i := range c.together {
				items = append(items, fmt.Sprintf(`{"agent_id":%q,"flag":%q}`, agentNo(first+i), round(n)))
			}
			text := "[" + strings.Join(items, ",") + "]"
			var err error
			if last, err = s.js.PublishAsync(names.Changes(), []byte(text), jetstream.WithStallWait(patience)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	<-s.js.PublishAsyncComplete()
	select {
	case <-last.Ok():
	case err := <-last.Err():
		s.t.Fatal(err)
	}
}

// check says what is wrong once all have ended: each change has exactly one ending, and each agent its last flag.
func (c crowd) check(s *site) {
	s.t.Helper()
	s.await(func() bool { return s.unfinished() == 0 }, func() string { return fmt.Sprintf("nothing unfinished, got %d", s.unfinished()) })
	endings := map[string]int{}
	for _, m := range s.all(names.ResultsStream()) {
		outcome, agent, ok := names.ParseResultSubject(m.Subject())
		if !ok || !outcome.Ends() {
			continue
		}
		if outcome != messages.Applied && outcome != messages.Superseded {
			s.t.Errorf("%s: %s", m.Subject(), m.Data())
		}
		var r messages.Result
		if err := json.Unmarshal(m.Data(), &r); err != nil {
			s.t.Fatal(err)
		}
		endings[agent+" "+r.Flag]++
	}
	if len(endings) != c.changes() {
		s.t.Errorf("%d changes have an ending, want %d", len(endings), c.changes())
	}
	for change, n := range endings {
		if n != 1 {
			s.t.Errorf("%s: %d endings, want 1", change, n)
		}
	}
	for i := range c.agents {
		if flag, _ := s.gateway.Flag(agentNo(i)); flag != round(c.rounds) {
			s.t.Errorf("agent %s: flag %s, want %s", agentNo(i), flag, round(c.rounds))
		}
	}
}

// unfinished is how many messages the stream of changes holds.
func (s *site) unfinished() uint64 {
	stream, err := s.js.Stream(s.t.Context(), names.ChangesStream())
	if err != nil {
		s.t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func TestTenThousandChangesAtALimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const rate, burst = 500, 50
	s.start("IDLE_RATE="+strconv.Itoa(rate), "IDLE_BURST="+strconv.Itoa(burst), "IDLE_LOG_LEVEL=info")
	c := crowd{agents: 1000, rounds: 10, together: 1}
	c.signIn(s)
	stalls := faulttest.WatchStalls(t)
	c.publish(s)
	c.check(s)
	calls := s.gateway.Calls()
	for _, breach := range faulttest.TooMany(calls, rate, burst, stalls) {
		t.Error(breach)
	}
	took := calls[len(calls)-1].At.Sub(calls[0].At)
	t.Logf("%d calls for %d changes in %v, at most %d in one second", len(calls), c.changes(), took, calls.MaxInWindow(time.Second))
}

func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := crowd{agents: 300, rounds: 4, together: 50} // so that messages are unfinished whose changes have ended
	w := s.start("IDLE_RATE=300", "IDLE_GATEWAY_TIMEOUT=1s")
	c.signIn(s)
	c.publish(s)
	for _, calls := range []int{100, 200} {
		s.await(func() bool { return s.gateway.NumCalls() >= calls }, func() string { return strconv.Itoa(calls) + " calls" })
		w.Kill()
		w = s.start("IDLE_RATE=300", "IDLE_GATEWAY_TIMEOUT=1s")
	}
	c.check(s)
}

func TestStopFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start()
	c := crowd{agents: 20, rounds: 1, together: 1}
	c.signIn(s)
	s.gateway.On("", gatewaytest.Rule{Latency: 500 * time.Millisecond})
	c.publish(s)
	s.await(func() bool { return s.gateway.NumCalls() >= 1 }, func() string { return "a call" })
	if err := w.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := w.Wait(); status != 0 {
		t.Errorf("status %d, want 0:\n%s", status, w.Output())
	}
	applied := map[string]bool{}
	for _, m := range s.all(names.ResultsStream()) {
		_, agent, _ := names.ParseResultSubject(m.Subject())
		applied[agent] = true
	}
	calls := s.gateway.Calls()
	for _, call := range calls {
		if !call.Applied || !applied[call.AgentID] {
			t.Errorf("call for %s: took effect %t, has a result %t; want both", call.AgentID, call.Applied, applied[call.AgentID])
		}
	}
	s.start()
	c.check(s)
	if n := s.gateway.NumCalls(); n != c.agents {
		t.Errorf("%d calls in all, want %d: one for each agent", n, c.agents)
	}
}
