package stream

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// shift is a site with processes of the worker and changes that keep them busy.
type shift struct {
	*site
	t         *testing.T
	board     *switchboard
	published []uint64
}

const shiftAgents = 20

func newShift(t *testing.T, callTakes time.Duration) *shift {
	t.Helper()
	s := newSite(t)
	s.hold = 300 * time.Millisecond
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	for i := range shiftAgents {
		s.signIn(strconv.Itoa(1001+i), "guid")
	}
	return &shift{site: s, t: t, board: newSwitchboard(t, callTakes)}
}

// publishMore publishes so many changes; their flags tell their order.
func (s *shift) publishMore(n int) {
	s.t.Helper()
	for range n {
		i := len(s.published)
		s.published = append(s.published, s.publish(fmt.Sprintf(`{"agent_id":"%d","flag":"%05d"}`, 1001+i%shiftAgents, i)))
	}
}

func (s *shift) waitCallBy(name string) {
	s.t.Helper()
	had := s.board.by(name)
	s.wait("a call by "+name, func() bool { return s.board.by(name) > had })
}

// check compares what is stored, and what the gateway saw, with what was promised.
func (s *shift) check() {
	s.t.Helper()
	s.waitFinished()
	s.wantOneEndingEach(s.published)
	newest := map[string]string{}
	for _, c := range s.board.made() {
		if c.Flag < newest[c.Agent] {
			s.t.Errorf("agent %s: %s came after %s", c.Agent, c.Flag, newest[c.Agent])
		}
		newest[c.Agent] = c.Flag
	}
	for i := range shiftAgents {
		agent, last := strconv.Itoa(1001+i), len(s.published)-shiftAgents+i
		if want := fmt.Sprintf("%05d", last); newest[agent] != want {
			s.t.Errorf("agent %s is left with %s, want %s", agent, newest[agent], want)
		}
	}
}

func TestStandbyTakesOverAfterAKill(t *testing.T) {
	s := newShift(t, 10*time.Millisecond)
	a := s.spawn(t, "a", s.board)
	s.publishMore(100)
	s.waitCallBy("a")
	s.spawn(t, "b", s.board)
	for range 10 { // in the middle of things, wherever that is
		s.publishMore(20)
	}
	a.kill()
	killed := time.Now()
	s.publishMore(100)
	s.waitCallBy("b")
	t.Logf("first call %v after the kill; the takeover is %v, the hold %v", time.Since(killed).Round(10*time.Millisecond), s.layout.Takeover, s.hold)
	s.check()
}

// A process that was frozen does not know how long. Whatever it was about to do when it wakes up, it must not call.
func TestFrozenOwnerMakesNoCallWhenItWakesUp(t *testing.T) {
	s := newShift(t, 30*time.Millisecond)
	a := s.spawn(t, "a", s.board)
	s.publishMore(40)
	s.waitCallBy("a")
	b := s.spawn(t, "b", s.board)
	s.publishMore(60)
	a.freeze()
	s.publishMore(40)
	s.waitCallBy("b")
	before := s.board.by("a")
	a.thaw()
	for range 20 {
		s.publishMore(20)
	}
	s.waitFinished()
	if n := s.board.by("a") - before; n > 0 {
		t.Errorf("the deposed owner made %d calls", n)
	}
	b.kill()
	s.publishMore(20)
	s.waitCallBy("a") // it stands by since
	s.check()
}
