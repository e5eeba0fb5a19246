package gate

import (
	"maps"
	"slices"
	"time"
)

// Config is what operators allow.
type Config struct {
	Rate        float64 // calls per second; 0: no limit
	Burst       float64 // calls at once after a pause; at least 1
	MaxInFlight int     // calls in flight at once, over all addresses
}

// Gate lets calls through to one site. It must be used from one goroutine at a time. Every instant that is passed in
// must carry a monotonic reading (time.Now), so that a clock that is set moves nothing.
type Gate struct {
	config     Config
	byOperator bool
	paused     time.Time // since then by an operator; zero: not
	bucket     bucket
	inFlight   int
	hold       hold
	lease      time.Time // no call before it: the last one was not sent
	routes     map[string]*route
	addresses  []string // of routes, in order
	spare      bucket
	holding    Why  // of the last call that was asked for; empty: it went out
	short      bool // the rate was out of reach when last looked at
}

// Why says what keeps a call back. The empty Why keeps none.
type Why string

// The reasons for which a call is kept back.
const (
	Paused     Why = "paused"      // by an operator
	Lease      Why = "lease"       // the last call was not sent: this process may not be the owner any more
	RetryAfter Why = "retry_after" // the gateway asked for it
	Rate       Why = "rate"        // the limit that operators set
	InFlight   Why = "in_flight"   // as many calls as allowed are in flight
	Breaker    Why = "breaker"     // the address does not answer: one probe at a time
	Slowed     Why = "slowed"      // the address takes fewer calls than the limit
	Ramp       Why = "ramp"        // the address answers again: calls are increased over half a second at most
)

// Kind says how a call ended, as far as the gate must know.
type Kind int

// The kinds of reports.
const (
	NotSent  Kind = iota // nothing left this process
	Answered             // the gateway itself answered, whatever it said
	Busy                 // the gateway or a proxy asked for fewer calls
	Fault                // anything else: no connection, no answer in time, not the gateway's own answer
)

// Report says how a call ended that [Gate.Ask] let through.
type Report struct {
	Address    string
	Agent      string
	Sent       time.Time // the instant passed to Ask
	Kind       Kind
	RetryAfter time.Duration // for Busy: how long to make no call at all; 0: not said
	Took       time.Duration
	Connect    bool   // for Fault: no connection came about, which no agent can be the cause of
	Why        string // for Busy and Fault: what happened, in words for operators
}

// New returns a gate that knows nothing. Its bucket is empty: nobody knows what another process sent a moment ago.
func New(c Config, now time.Time) *Gate {
	g := &Gate{config: c, routes: map[string]*route{}}
	g.bucket.last = now
	return g
}

// Begin forgets the calls in flight, whose ends nobody will report, and keeps all that is known of the gateway. It is
// called when a process becomes the owner again.
func (g *Gate) Begin(now time.Time) {
	g.inFlight, g.bucket = 0, bucket{last: now}
	for _, r := range g.routes {
		r.forgetCalls()
	}
}

// SetRate sets the limit, an operator's or the configured one, and begins with an empty bucket.
func (g *Gate) SetRate(rate, burst float64, byOperator bool, now time.Time) {
	g.byOperator = byOperator
	if rate == g.config.Rate && burst == g.config.Burst {
		return
	}
	g.config.Rate, g.config.Burst, g.bucket = rate, burst, bucket{last: now}
}

// SetPaused stops all calls, or lets them continue.
func (g *Gate) SetPaused(paused bool, now time.Time) {
	switch {
	case !paused:
		g.paused = time.Time{}
	case g.paused.IsZero():
		g.paused = now
	}
}

// Ask reports whether a call for the agent may be made now, and counts it as in flight if so. Otherwise it returns what
// keeps it back and when to ask again; a zero time: when a call has come back or an operator resumes.
func (g *Gate) Ask(address, agent string, now time.Time) (ok bool, again time.Time, why Why) {
	again, why = g.keeps(address, now)
	g.holding = why
	if why != "" {
		return false, again, why
	}
	g.inFlight++
	g.routes[address].send(agent, now)
	return true, time.Time{}, ""
}

// AskSpare is Ask for a call that can wait: all such calls together take a twentieth of the rate at most.
func (g *Gate) AskSpare(address, agent string, now time.Time) (ok bool, again time.Time, why Why) {
	rate := spareShare * g.full()
	g.spare.fill(rate, 1, now)
	if again = g.spare.next(rate); !again.IsZero() {
		return false, again, Rate
	}
	if ok, again, why = g.Ask(address, agent, now); ok {
		g.spare.tokens--
	}
	return ok, again, why
}

const spareShare = 0.05

// Site reports whether what keeps a call back keeps back those to all other addresses too.
func (w Why) Site() bool { return w == Paused || w == Lease || w == RetryAfter || w == Rate }

// keeps returns what keeps a call back now. If nothing does, it has taken its tokens.
func (g *Gate) keeps(address string, now time.Time) (again time.Time, why Why) {
	r := g.route(address, now)
	r.asked = now
	switch {
	case !g.paused.IsZero():
		return time.Time{}, Paused
	case now.Before(g.hold.until):
		return g.hold.until, RetryAfter
	case now.Before(g.lease):
		return g.lease, Lease
	case g.inFlight >= g.config.MaxInFlight || r.inFlight >= g.share(now):
		return time.Time{}, InFlight
	}
	if again, why = r.keeps(g.full(), now); why != "" {
		return again, why
	}
	if g.config.Rate > 0 {
		g.fill(now)
		if again = g.bucket.next(g.config.Rate); !again.IsZero() {
			return again, Rate
		}
		g.bucket.tokens--
	}
	r.take()
	return time.Time{}, ""
}

func (g *Gate) fill(now time.Time) {
	if g.config.Rate > 0 {
		g.bucket.fill(g.config.Rate, depth(g.config.Rate, g.config.Burst, g.inFlight), now)
	}
}

func (g *Gate) route(address string, now time.Time) *route {
	r := g.routes[address]
	if r == nil {
		r = &route{}
		g.routes[address] = r
		g.addresses = slices.Sorted(maps.Keys(g.routes))
		if now.Before(g.hold.until) {
			r.breaker.await(g.hold)
		}
	}
	return r
}

// unlimited stands for the rate where operators set none, wherever a share of the rate is meant.
const unlimited = 1000.0

func (g *Gate) full() float64 {
	if g.config.Rate == 0 {
		return unlimited
	}
	return g.config.Rate
}

// share is how many calls one address may have in flight. While n are in use each has twice its equal share at most,
// so that one that hangs leaves room for the others, and one that is slow has more than an equal share.
func (g *Gate) share(now time.Time) int {
	n := 0
	for _, r := range g.routes {
		if r.inFlight > 0 || now.Sub(r.asked) < inUse {
			n++
		}
	}
	if n < 2 {
		return g.config.MaxInFlight
	}
	return max(1, 2*g.config.MaxInFlight/(n+1))
}

const inUse = 10 * time.Second

// Report takes note of how a call ended. It must be called once for each call that Ask let through.
func (g *Gate) Report(p Report, now time.Time) {
	g.fill(now) // until now the call made the burst smaller
	g.inFlight--
	r := g.route(p.Address, now)
	r.report(&p, g.full(), now, now.Before(g.hold.until))
	switch {
	case p.Kind == Busy && p.RetryAfter > 0:
		g.wait(min(p.RetryAfter, maxHold), p.Why, now)
	case p.Kind == NotSent:
		g.lease = now.Add(leaseLook)
	}
}

// leaseLook is the pause after a call that was not sent: the lease is gone, or about to be.
const leaseLook = 100 * time.Millisecond

// Decides reports whether the gate itself decides when a call to that address may be tried again, so that its change
// needs no pause of its own: nobody may call, or single probes go out.
func (g *Gate) Decides(address string, now time.Time) bool {
	return now.Before(g.hold.until) || g.route(address, now).breaker.open
}

// Doubts reports whether the last few calls to the address failed one after the other. Whoever asks next should not be
// the neighbour of those in the queue: neighbours are often behind the same node of the gateway.
func (g *Gate) Doubts(address string) bool {
	r := g.routes[address]
	return r != nil && (r.breaker.open || r.failing > 0.4 || r.row.doubted())
}

// Tally counts how calls ended, from the start of the process.
type Tally struct{ Answered, Busy, Faults uint64 }

// Tally returns how calls to one address ended. Whoever compares two of them learns whether other agents' calls were
// answered meanwhile.
func (g *Gate) Tally(address string) Tally {
	if r := g.routes[address]; r != nil {
		return r.tally
	}
	return Tally{}
}

// Idle says that no call waits, so that nothing is held back.
func (g *Gate) Idle() { g.holding = "" }

// InFlight returns how many calls are in flight.
func (g *Gate) InFlight() int { return g.inFlight }
