package worker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// fakeGateway is a gateway in memory. It records each call, and answers at the end of the time that a call takes.
type fakeGateway struct {
	mu      sync.Mutex
	takes   time.Duration
	answer  func(Call) Answer  // nil: success
	respond func(*seen) Answer // instead of answer, with mu held; nil: answer
	unsent  bool               // calls do not leave, as if the lease were gone
	lingers bool               // a call takes effect even if its term was lost
	breaks  bool               // the connection of every other call breaks at once, and the call takes effect later

	calls   []*seen
	of      map[string][]*seen // by agent and flag
	begun   map[string]int     // the same, with those that did not leave
	holds   map[string]string  // agent to the flag that is set
	signIns map[string]int     // agent to how often it has signed in
	busy    map[string]int     // agent and sign-in to calls under way
	loose   int                // calls under way whose connection broke
	twice   bool               // two calls for one agent and sign-in were under way
}

// seen is a call as the gateway saw it.
type seen struct {
	Call
	from, to time.Time
	success  bool
	signIn   string // of the agent: a new one ends what calls with an older GUID may do
	beside   bool   // another call for this agent and sign-in was under way
	loose    bool   // its connection broke before it took effect
}

func newFakeGateway() *fakeGateway {
	return &fakeGateway{
		of: map[string][]*seen{}, begun: map[string]int{}, holds: map[string]string{}, signIns: map[string]int{}, busy: map[string]int{},
	}
}

func (g *fakeGateway) Set(ctx context.Context, c Call) Answer {
	if ctx.Err() != nil {
		return Answer{Class: NotSent, Fault: "the term is over"}
	}
	s := &seen{Call: c, from: time.Now()}
	if !g.begin(s) {
		return Answer{Class: NotSent, Fault: "the lease is gone"}
	}
	g.mu.Lock()
	takes, lingers := g.takes, g.lingers
	g.mu.Unlock()
	if s.loose {
		go func() {
			time.Sleep(modelHold - time.Duration(len(c.Flag)%3+1)*time.Second)
			g.end(s)
		}()
		return Answer{Class: Unsound, Fault: "connection reset"}
	}
	if !lingers {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
		}
		return g.end(s)
	}
	answers := make(chan Answer, 1)
	go func() {
		time.Sleep(takes)
		answers <- g.end(s)
	}()
	select {
	case a := <-answers:
		return a
	case <-ctx.Done():
		return Answer{Class: NotSent}
	}
}

func (g *fakeGateway) begin(s *seen) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := s.AgentID + " " + s.Flag
	g.begun[name]++
	if g.unsent {
		return false
	}
	s.signIn = fmt.Sprint(s.AgentID, " ", g.signIns[s.AgentID])
	s.beside = g.busy[s.signIn] > 0
	g.twice = g.twice || s.beside
	g.calls = append(g.calls, s)
	if s.loose = g.breaks && len(g.calls)%2 == 0; s.loose {
		g.loose++
	} else {
		g.busy[s.signIn]++
	}
	g.of[name] = append(g.of[name], s)
	return true
}

func (g *fakeGateway) end(s *seen) Answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := Answer{Class: Success, Retcode: "0", Message: "success"}
	switch answer := g.answer; {
	case g.respond != nil:
		a = g.respond(s)
	case answer != nil:
		g.mu.Unlock() // it may wait, and set how the gateway answers from then on
		a = answer(s.Call)
		g.mu.Lock()
	}
	s.to = time.Now()
	if s.loose {
		g.loose--
	} else {
		g.busy[s.signIn]--
	}
	if s.success = a.Class == Success; s.success {
		g.holds[s.AgentID] = s.Flag
	}
	return a
}

// made returns agent, flag and GUID of each call.
func (g *fakeGateway) made() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]string, 0, len(g.calls))
	for _, s := range g.calls {
		all = append(all, s.AgentID+" "+s.Flag+" "+s.Session.GUID)
	}
	return all
}

// at returns when each call was made.
func (g *fakeGateway) at() []time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]time.Time, 0, len(g.calls))
	for _, s := range g.calls {
		all = append(all, s.from)
	}
	return all
}

func (g *fakeGateway) anyBusy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.busy {
		if n > 0 {
			return true
		}
	}
	return g.loose > 0
}

func (g *fakeGateway) reply(a Answer) {
	g.set(func() { g.answer = func(Call) Answer { return a } })
}

// set changes how the gateway answers.
func (g *fakeGateway) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// mostIn returns how many of the instants the fullest window holds.
func mostIn(calls []time.Time, window time.Duration) int {
	n, first := 0, 0
	for i, at := range calls {
		for at.Sub(calls[first]) >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

// between returns how many of the instants are not before from and before to.
func between(calls []time.Time, from, to time.Time) int {
	return len(slices.DeleteFunc(slices.Clone(calls), func(at time.Time) bool { return at.Before(from) || !at.Before(to) }))
}
