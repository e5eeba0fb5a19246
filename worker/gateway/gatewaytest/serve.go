package gatewaytest

import (
	"io"
	"net/http"
	"time"
)

// visit is one call on its way through the gateway.
type visit struct {
	record  *record
	call    *Call
	carried carried
	rule    *Rule
	latency time.Duration
	known   bool   // the path is that of the one call
	outage  Outage // that it, or its answer, met
	taken   bool   // it counts for the capacity
	busy    bool   // another call of the agent is under way
	status  int
	retcode string // that goes into the answer
}

// serve takes each call through the same steps: it arrives, takes its time, lands and is answered. The lock is held
// when it arrives and when it lands, and never while it waits.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	if what, agentID := desktopRequest(r.Method, r.URL.Path); what != notDesktops {
		g.serveDesktop(w, r, what, agentID)
		return
	}
	v := &visit{}
	if !g.arrive(v, r) {
		cutOff(r)
		return
	}
	defer g.work.Done()
	if r.ContentLength != 0 { // only when all of it is read does the server notice that a client goes away
		_, _ = io.CopyN(io.Discard, r.Body, 1<<16)
	}
	if !g.delay(v, r) {
		g.leave(v)
		return
	}
	g.land(v)
	g.answer(w, r, v)
}

// delay is false where the call comes to nothing, because its client or the gateway went away first.
func (g *Gateway) delay(v *visit, r *http.Request) bool {
	if !v.rule.late() {
		return g.wait(v.latency, r.Context().Done())
	}
	if !g.wait(v.latency, nil) {
		return false
	}
	if v.rule.Fault == Cut {
		cutOff(r)
	}
	return g.wait(v.rule.LandAfter, nil) && g.waitFor(v.rule.LandOn)
}

// wait is false where the client, or the gateway itself, went away first.
func (g *Gateway) wait(d time.Duration, gone <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-gone:
	case <-g.done:
	}
	return false
}

// waitFor is false where the gateway is closed first.
func (g *Gateway) waitFor(signal <-chan struct{}) bool {
	if signal == nil {
		return true
	}
	select {
	case <-signal:
		return true
	case <-g.done:
		return false
	}
}

// arrive records a call and finds out what will become of it. It is false where the gateway is closed.
func (g *Gateway) arrive(v *visit, r *http.Request) bool {
	path := r.URL.Path
	agentID, flag, known := parsePath(path)
	v.known, v.carried = known, carriedBy(r.Header)

	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.work.Add(1)
	now := time.Now() // with the lock held, so that the record is in order
	v.record = g.record
	v.call = v.record.add(now)
	c := v.call
	c.AgentID, c.Flag, c.GUID = agentID, flag, v.carried.guid
	c.Method, c.Path, c.Proto, c.Length = r.Method, path, r.Proto, r.ContentLength
	g.choose(v, now)
	if !validAgent(agentID) {
		c.Header = v.carried.header()
		return true
	}
	a := g.agent(agentID)
	c.Header = a.headerOf(&v.carried)
	if !v.rule.late() {
		v.busy = a.underway > 0
		a.underway++
	}
	return true
}

// choose finds what acts on a call: an outage, the capacity, or a rule.
func (g *Gateway) choose(v *visit, now time.Time) {
	v.rule = usual
	if v.outage = g.port.outage(); v.outage != NoOutage {
		v.rule = cutRule
		if v.outage == Hanging {
			v.rule = hangRule
		}
		v.call.Fault = v.outage.String()
		return
	}
	if v.taken = g.capacity.take(now); !v.taken {
		v.rule = g.capacity.refusal
		v.call.Fault = FaultCapacity
		return
	}
	g.capacity.underway++
	v.rule = g.rules.match(v.call.AgentID, v.call.Flag, g.random)
	v.latency = v.rule.delay(g.random)
	v.call.Fault = v.rule.fault()
}

// What outages do to calls that are there already.
var (
	cutRule  = &Rule{Fault: Cut}
	hangRule = &Rule{Fault: Hang}
)
