package worker

import (
	"fmt"
	"time"
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

	bucket   bucket
	inFlight int
	shut     time.Time // no call before this instant: the gateway asked for it
	shutWhy  string
	pace     pace
	breaker  breaker

	holding  string        // what kept the last call back that was asked for; empty: it went out
	latency  time.Duration // of proper answers lately; 0: not known
	known    int           // answers that it is known from, up to enough
	short    bool          // the rate was found out of reach
	answered [2]sighting   // the last proper answers of two different agents, newest first
}

// sighting is a proper answer of the gateway about one agent.
type sighting struct {
	agent string
	at    time.Time
}

// GateState says what holds calls back, for people.
type GateState struct {
	State    string    `json:"state"` // open, paused, shut, probing, slowed
	Why      string    `json:"why"`   // in words; empty while open
	Until    time.Time `json:"until,omitzero"`
	Rate     float64   `json:"rate"`  // calls per second that the gate lets through now; 0: no limit
	Limit    float64   `json:"limit"` // calls per second that operators allow; 0: no limit
	InFlight int       `json:"in_flight"`

	Holding string  `json:"holding"` // what keeps back what is due: rate, in_flight, paused, retry_after, breaker, slowed, ramp; empty: nothing
	Latency float64 `json:"latency"` // seconds that proper answers took lately; 0: not known
	Reach   float64 `json:"reach"`   // calls per second that are possible with that latency and so many in flight; 0: not known
}

func newGate(p Policy, now time.Time) gate {
	g := gate{maxInFlight: p.MaxInFlight}
	g.setRate(p.Rate, p.Burst, now)
	return g
}

// setRate begins with an empty bucket: a new owner knows nothing of what the last one sent a moment ago.
func (g *gate) setRate(rate, burst float64, now time.Time) {
	g.rate, g.burst = rate, burst
	g.bucket = bucket{last: now}
}

// ask tells whether a call may be made now and takes its place if so. Otherwise it tells when to ask again; zero: when
// a call in flight has come back or an operator resumes.
func (g *gate) ask(now time.Time) (ok bool, again time.Time) {
	g.holding, again = g.keeps(now)
	if g.holding != "" {
		return false, again
	}
	g.inFlight++
	g.breaker.sent(now)
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

// tell takes note of an answer about agent to a call sent at the given time.
func (g *gate) tell(agent string, a Answer, sent, now time.Time) {
	g.back(now)
	g.breaker.back(sent)
	switch {
	case a.Class.Answered():
		g.learn(a.Took)
		if g.breaker.sound() {
			g.bucket = bucket{last: now}
			g.pace.ramp(now)
		}
		if g.answered[0].agent != agent {
			g.answered[1] = g.answered[0]
		}
		g.answered[0] = sighting{agent, now}
	case a.Class == Busy && a.RetryAfter > 0:
		if until := now.Add(a.RetryAfter); until.After(g.shut) {
			g.shut, g.shutWhy = until, a.Fault
		}
		g.bucket = bucket{last: g.shut}
		g.pace.ramp(g.shut)
	case a.Class == Busy:
		g.pace.halve(g.rate, sent, now)
		if a.Status != statusTooMany {
			g.breaker.fault(a.Fault, sent, now)
		}
	case a.Class == Unsound:
		g.breaker.fault(a.Fault, sent, now)
	}
}

const statusTooMany = 429

// answeredOther tells whether another agent's call was answered properly after the given time.
func (g *gate) answeredOther(agent string, after time.Time) bool {
	for _, s := range g.answered {
		if s.agent != "" && s.agent != agent && s.at.After(after) {
			return true
		}
	}
	return false
}

func (g *gate) state(now time.Time) GateState {
	s := GateState{
		State: "open", Rate: g.pace.at(g.rate, now), Limit: g.rate, InFlight: g.inFlight,
		Holding: g.holding, Latency: g.latency.Seconds(), Reach: g.reach(),
	}
	switch {
	case g.paused:
		s.State, s.Why = "paused", "an operator paused it"
	case now.Before(g.shut):
		s.State, s.Why, s.Until = "shut", g.shutWhy, g.shut
	case g.breaker.open():
		s.State, s.Why, s.Until = "probing", g.breaker.why, g.breaker.next
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

// reach is how many calls per second are possible: none waits for another, but only so many are under way at once.
func (g *gate) reach() float64 {
	if g.known < enough || g.latency <= 0 {
		return 0
	}
	return float64(g.maxInFlight) / g.latency.Seconds()
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

// bucket is a token bucket. It fills from last on and counts no tokens before that.
type bucket struct {
	tokens float64
	last   time.Time
}

// depth is how many tokens there may be. A call under way may not have reached the gateway yet, and can still arrive
// together with what is sent next: so the burst is shallower by what is in flight, and no window at the gateway holds
// more than the rate and the burst allow, however late calls arrive. What remains makes up for waking up late.
func (g *gate) depth(rate float64) float64 {
	least := min(g.burst, 1+rate*wakesLate.Seconds())
	return max(1, least, g.burst-float64(g.inFlight))
}

const wakesLate = 10 * time.Millisecond

// back notes that a call is under way no longer; until now it made the burst shallower.
func (g *gate) back(now time.Time) {
	if rate := g.pace.at(g.rate, now); rate > 0 {
		g.bucket.fill(rate, g.depth(rate), now)
	}
	g.inFlight--
}

func (b *bucket) fill(rate, depth float64, now time.Time) {
	if now.After(b.last) {
		b.tokens = min(depth, b.tokens+rate*now.Sub(b.last).Seconds())
		b.last = now
	}
}

func (b *bucket) take(rate float64) (again time.Time, wait bool) {
	if b.tokens < 1-1e-9 {
		seconds := min((1-b.tokens)/rate, time.Hour.Seconds())
		return b.last.Add(time.Duration(seconds*float64(time.Second)) + time.Nanosecond), true
	}
	b.tokens--
	return time.Time{}, false
}

// pace is the rate that the gateway was found to take: halved when it asks for fewer calls without saying how long,
// grown step by step afterwards, and ramped up when the gate opens.
type pace struct {
	cut   float64   // the rate after the last halving; 0: the gateway takes what operators allow
	from  float64   // the rate that was too much
	since time.Time // of the last halving
	steep time.Time // the gate opened then; zero: long ago
}

const (
	rampTime  = 800 * time.Millisecond // from rampFrom of the rate to all of it
	rampFrom  = 0.2
	growTime  = 10 * time.Second // from nothing to all of the rate, in additive steps
	leastPace = 1.0              // calls per second
	// With no limit of the operators' the halving needs something to begin from.
	unlimitedPace = 1000.0
)

func (p *pace) at(limit float64, now time.Time) float64 {
	rate := limit
	if p.cut > 0 {
		full := limit
		if full == 0 {
			full = unlimitedPace
		}
		rate = p.cut + full*now.Sub(p.since).Seconds()/growTime.Seconds()
		if rate >= full {
			p.cut, rate = 0, limit
		}
	}
	if now.Sub(p.steep) < rampTime && rate > 0 {
		rate *= rampFrom + (1-rampFrom)*max(0, now.Sub(p.steep).Seconds()/rampTime.Seconds())
	}
	return rate
}

// halve halves the rate once for all calls that were sent at the same rate.
func (p *pace) halve(limit float64, sent, now time.Time) {
	if !p.since.IsZero() && !sent.After(p.since) {
		return
	}
	rate := p.at(limit, now)
	if rate == 0 {
		rate = unlimitedPace
	}
	p.from, p.cut, p.since = rate, max(leastPace, rate/2), now
}

func (p *pace) ramp(from time.Time) { p.steep = from }

// why names what the rate is, where it keeps a call back.
func (p *pace) why(now time.Time) string {
	switch {
	case now.Sub(p.steep) < rampTime:
		return "ramp"
	case p.cut > 0:
		return "slowed"
	default:
		return "rate"
	}
}

// breaker keeps calls from a gateway that does not answer as a gateway does. A first fault lets calls through one at a
// time; a second one with no proper answer between them opens it, and then single probes go through with pauses. Calls that
// were under way before keep nobody waiting: a slow one would hold everybody up for what happened to another.
type breaker struct {
	faults int       // since the last proper answer
	single time.Time // when the one call was sent that is under way since then; zero: none is
	probes int       // since it opened
	next   time.Time
	why    string
	opened time.Time
}

// The pauses before probes: short enough that the end of an outage is noticed at once, few enough that a gateway that
// is down is left alone.
const (
	firstProbe = 300 * time.Millisecond
	nextProbes = 600 * time.Millisecond
	lateProbes = time.Second
	manyProbes = 10
)

func (b *breaker) open() bool { return b.faults >= 2 }

func (b *breaker) holds(now time.Time) (again time.Time, wait bool) {
	switch {
	case b.faults == 0:
		return time.Time{}, false
	case !b.single.IsZero():
		return time.Time{}, true
	case b.open() && now.Before(b.next):
		return b.next, true
	}
	return time.Time{}, false
}

func (b *breaker) sent(now time.Time) {
	if b.faults > 0 {
		b.single = now
	}
	if b.open() {
		b.probes++
	}
}

// back notes that the call that was sent then is under way no longer.
func (b *breaker) back(sent time.Time) {
	if sent.Equal(b.single) {
		b.single = time.Time{}
	}
}

// sound takes note of a proper answer and tells whether that closed an open breaker.
func (b *breaker) sound() bool {
	was := b.open()
	*b = breaker{}
	return was
}

func (b *breaker) fault(why string, sent, now time.Time) {
	if b.open() && sent.Before(b.opened) {
		return // it was under way when the breaker opened and tells nothing new
	}
	b.faults++
	b.why = why
	if !b.open() {
		return
	}
	if b.opened.IsZero() {
		b.opened = now
	}
	switch {
	case b.probes == 0:
		b.next = now.Add(firstProbe)
	case b.probes < manyProbes:
		b.next = now.Add(nextProbes)
	default:
		b.next = now.Add(lateProbes)
	}
}

// notSent gives back the place of a call that never left, and waits a moment: the lease is gone, or about to.
func (g *gate) notSent(why string, sent, now time.Time) {
	g.back(now)
	g.breaker.back(sent)
	if until := now.Add(leaseLook); until.After(g.shut) {
		g.shut, g.shutWhy = until, why
	}
}

const leaseLook = 100 * time.Millisecond
