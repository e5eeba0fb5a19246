package worker

import (
	"fmt"
	"time"

	"idlepolicy/worker/view"
)

// gate is the one way to the gateway: every call of every change passes it, first attempts, retries, applying anew and
// probes alike. It keeps the rate in every window, the number of calls in flight, the pause that operators or the
// gateway ask for, and it finds out by itself when the gateway can take less or nothing.
//
// It is used from the event loop alone and is told what time it is.
type gate struct {
	rate        float64 // calls per second; 0: no limit
	burst       float64
	maxInFlight int
	paused      bool // by an operator
	byOperator  bool // the rate is an operator's, not the configured one

	bucket   bucket
	inFlight int
	shut     time.Time // no call before this instant: the gateway asked for it
	shutWhy  string
	pace     pace
	breaker  breaker
	silence  silence
	heard    time.Time // when the latest call was sent that was answered properly

	holding  string        // what kept the last call back that was asked for; empty: it went out
	latency  time.Duration // of proper answers lately; 0: not known
	known    int           // answers that it is known from, up to enough
	short    bool          // the rate was found out of reach
	answered sightings     // proper answers
	refused  sightings     // answers that asked for fewer calls without saying for how long
}

func newGate(p Policy, now time.Time) gate {
	g := gate{maxInFlight: p.MaxInFlight}
	g.setRate(p.Rate, p.Burst, now)
	return g
}

// setRate begins with an empty bucket: a new owner knows nothing of what the last one sent a moment ago.
func (g *gate) setRate(rate, burst float64, now time.Time) {
	g.rate, g.burst = rate, burst
	if g.bucket = (bucket{last: now}); g.shut.After(now) {
		g.bucket.last = g.shut // which opens with an empty one
	}
}

// ask tells whether a call for the agent may be made now and takes its place if so. Otherwise it tells when to ask again;
// zero: when a call in flight has come back or an operator resumes.
func (g *gate) ask(agent string, now time.Time) (ok bool, again time.Time) {
	g.holding, again = g.keeps(now)
	if g.holding != "" {
		return false, again
	}
	g.inFlight++
	g.breaker.sent(agent, now)
	g.silence.sent(now)
	return true, time.Time{}
}

// keeps says what keeps a call back now, and until when; empty: nothing does, and the call has its token.
func (g *gate) keeps(now time.Time) (what string, again time.Time) {
	switch {
	case g.paused:
		return "paused", time.Time{}
	case now.Before(g.shut):
		return "retry_after", g.shut
	}
	if again, wait := g.breaker.holds(now); wait {
		return "breaker", again
	}
	if again, wait := g.silence.holds(g.usual(), now); wait {
		return "breaker", again
	}
	if g.inFlight >= g.maxInFlight {
		return "in_flight", time.Time{}
	}
	if rate := g.pace.at(g.rate, now); rate > 0 {
		g.bucket.fill(rate, g.depth(rate), now)
		if again, wait := g.bucket.take(rate); wait {
			return g.pace.why(now), again
		}
	}
	return "", time.Time{}
}

// tell takes note of an answer about an agent, or about everybody, to a call sent at the given time.
func (g *gate) tell(agent string, a Answer, sent, now time.Time) {
	g.back(now)
	g.breaker.back(sent)
	hung := g.silence.heard()
	switch {
	case a.Class.Answered():
		g.learn(a.Took)
		if g.breaker.sound() || hung {
			g.bucket = bucket{last: now}
			g.pace.ramp(now)
		}
		if sent.After(g.heard) {
			g.heard = sent
		}
		g.answered.add(agent, now)
	case a.Class == Busy && a.RetryAfter > 0:
		if until := now.Add(a.RetryAfter); until.After(g.shut) {
			g.shut, g.shutWhy = until, a.Fault
		}
		g.bucket = bucket{last: g.shut}
		g.pace.ramp(g.shut)
	case a.Class == Busy:
		if last := g.refused.of(agent); last.IsZero() || !g.aloneSince(agent, last) {
			g.pace.halve(g.rate, sent, now)
		}
		g.refused.add(agent, now)
		if a.Status != statusTooMany {
			g.fault(agent, a.Fault, sent, now)
		}
	case a.Class == Unsound:
		g.fault(agent, a.Fault, sent, now)
	}
}

// fault tells the breaker of a fault, unless a call that was sent later was answered properly meanwhile: then this is
// the late time-out of a call that hung before.
func (g *gate) fault(agent, why string, sent, now time.Time) {
	if !sent.Before(g.heard) {
		g.breaker.fault(agent, why, sent, now)
	}
}

const statusTooMany = 429

// holdsAfter tells whether the gate itself decides when the call may be made again after that answer.
func (g *gate) holdsAfter(a *Answer) bool {
	return g.breaker.open() || (a.Class == Busy && (a.RetryAfter > 0 || a.Status == statusTooMany))
}

// aloneSince tells whether an agent has been alone with its trouble since then: another one's call was answered properly,
// and no other one's was refused for lack of room.
func (g *gate) aloneSince(agent string, then time.Time) bool {
	return g.answered.other(agent, then) && !g.refused.other(agent, then)
}

func (g *gate) state(now time.Time) view.GateState {
	s := view.GateState{
		State: "open", Rate: g.pace.at(g.rate, now), Limit: g.rate, InFlight: g.inFlight,
		ByOperator: g.byOperator, Holding: g.holding, Latency: g.latency.Seconds(), Reach: g.reach(),
	}
	switch {
	case g.paused:
		s.State, s.Why = "paused", "an operator paused it"
	case now.Before(g.shut):
		s.State, s.Why, s.Until = "shut", g.shutWhy, g.shut
	case g.breaker.open():
		s.State, s.Why, s.Until = "probing", g.breaker.why, g.breaker.next
	case g.silence.long():
		s.State, s.Why, s.Until = "probing", "no call is answered", g.silence.next
	case g.pace.cut > 0:
		s.State, s.Why = "slowed", fmt.Sprintf("the gateway could not take %.4g calls per second", g.pace.from)
	}
	return s
}

// enough is how many answers the latency is learned from; a few slow ones among them change little.
const enough = 32

func (g *gate) learn(took time.Duration) {
	g.known = min(g.known+1, enough)
	g.latency += (took - g.latency) / time.Duration(g.known)
}

// usual is the latency that calls have, once enough were answered; zero: not known.
func (g *gate) usual() time.Duration {
	if g.known < enough {
		return 0
	}
	return g.latency
}

// reach is how many calls per second are possible: none waits for another, but only so many are under way at once.
func (g *gate) reach() float64 {
	if g.usual() <= 0 {
		return 0
	}
	return float64(g.maxInFlight) / g.usual().Seconds()
}

// outOfReach tells once that the rate cannot be reached, and once more when it was within reach meanwhile.
func (g *gate) outOfReach() bool {
	reach := g.reach()
	switch {
	case reach == 0 || g.rate == 0:
	case reach >= g.rate:
		g.short = false
	case !g.short && reach < 0.9*g.rate:
		g.short = true
		return true
	}
	return false
}

// depth is how many tokens there may be. A call under way may not have reached the gateway yet, and can still arrive
// together with what is sent next: so the burst is shallower by what is in flight, and no window at the gateway holds
// more than the rate and the burst allow, late as calls may arrive, while no more than the burst are in flight. More than
// that are only where calls take long at the gateway, or for a moment until silence notices that they hang. One that opens
// a connection comes later than those behind it on open ones, so some of the burst is kept for that. What remains makes
// up for waking up late.
func (g *gate) depth(rate float64) float64 {
	least := min(g.burst, 1+rate*wakesLate.Seconds())
	return max(1, least, g.burst-float64(g.inFlight)-rate*comesLate.Seconds())
}

const (
	wakesLate = 10 * time.Millisecond
	comesLate = 15 * time.Millisecond
)

// back notes that a call is under way no longer; until now it made the burst shallower.
func (g *gate) back(now time.Time) {
	if rate := g.pace.at(g.rate, now); rate > 0 {
		g.bucket.fill(rate, g.depth(rate), now)
	}
	g.inFlight--
}

// notSent gives back the place of a call that never left, and waits a moment: the lease is gone, or about to.
func (g *gate) notSent(why string, sent, now time.Time) {
	g.back(now)
	g.breaker.back(sent)
	g.silence.heard() // it hangs no more
	if until := now.Add(leaseLook); until.After(g.shut) {
		g.shut, g.shutWhy = until, why
	}
}

const leaseLook = 100 * time.Millisecond
