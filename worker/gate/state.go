package gate

import (
	"fmt"
	"strings"
	"time"
)

// State says what holds calls back, for people.
type State struct {
	State string    `json:"state"`          // open, paused, shut, probing, slowed
	Why   string    `json:"why"`            // one sentence: what is held back, since when, until when, because of which answers; empty while open
	Since time.Time `json:"since,omitzero"` // it has been in this state
	Until time.Time `json:"until,omitzero"` // it stays in it at least
	Rate  float64   `json:"rate"`           // calls per second that the gate lets through now, or with which it continues; 0: no limit
	Limit float64   `json:"limit"`          // calls per second that operators allow; 0: no limit

	InFlight   int     `json:"in_flight"`
	ByOperator bool    `json:"limit_by_operator"` // an operator set the limit, and the configured one does not hold
	Holding    Why     `json:"holding"`           // what keeps back what is due; empty: nothing
	Latency    float64 `json:"latency"`           // seconds that proper answers took lately; 0: not known
	Reach      float64 `json:"reach"`             // calls per second that are possible with that latency and so many in flight; 0: not known
}

// State returns what holds calls back now. Of several addresses, the one in the most trouble decides.
func (g *Gate) State(now time.Time) State {
	s := State{
		State: "open", Rate: g.CurrentRate(now), Limit: g.config.Rate, InFlight: g.inFlight, ByOperator: g.byOperator,
		Holding: g.holding, Latency: g.busiest().mean.Seconds(), Reach: g.Reach(),
	}
	switch {
	case !g.paused.IsZero():
		s.State, s.Since, s.Why = "paused", g.paused, "no call is made"+g.times(g.paused, time.Time{})+": an operator paused the calls"
		return s
	case now.Before(g.hold.until):
		s.State, s.Since, s.Until = "shut", g.hold.since, g.hold.until
		s.Why = "no call is made" + g.times(s.Since, s.Until) + ": the gateway asked for that: " + g.hold.why
		return s
	}
	for _, address := range g.addresses {
		r := g.routes[address]
		switch {
		case g.unused(r, now):
		case r.breaker.open && s.State != "probing":
			s.State, s.Since, s.Until = "probing", r.breaker.since, r.breaker.next
			s.Why = "only single calls are made" + g.to(address) + g.times(s.Since, time.Time{}) + ": the last of them: " + r.breaker.why
		case r.limit.most > 0 && s.State == "open":
			s.State, s.Since = "slowed", r.limit.since
			s.Why = fmt.Sprintf("at most %.3g calls per second are made%s%s: it took %.3g and refused the others",
				r.limit.rate(g.full()), g.to(address), g.times(s.Since, time.Time{}), r.limit.most)
			if r.limit.why != "" {
				s.Why += ": " + r.limit.why
			}
		}
	}
	return s
}

// unused reports whether an address beside others was not asked for lately: its trouble holds nothing back.
func (g *Gate) unused(r *route, now time.Time) bool {
	return len(g.routes) > 1 && now.Sub(r.asked) > longUnasked
}

const longUnasked = 10 * time.Minute

// to names the address if there is more than one.
func (g *Gate) to(address string) string {
	switch {
	case len(g.routes) < 2:
		return ""
	case address == "":
		return " to the configured gateway"
	default:
		return " to " + address
	}
}

func (g *Gate) times(since, until time.Time) string {
	var b strings.Builder
	const clock = "15:04:05Z"
	b.WriteString(" since " + since.UTC().Format(clock))
	if !until.IsZero() {
		b.WriteString(" until " + until.UTC().Format(clock))
	}
	return b.String()
}

// CurrentRate returns how many calls per second the gate lets through now; 0: no limit. While it holds all calls back, it is
// the rate with which they continue.
func (g *Gate) CurrentRate(now time.Time) float64 {
	sum := 0.0
	for _, r := range g.routes {
		rate, _ := r.adaptiveRate(g.full(), now)
		if rate == 0 {
			return g.config.Rate
		}
		sum += rate
	}
	if sum == 0 || g.config.Rate > 0 && sum > g.config.Rate {
		return g.config.Rate
	}
	return sum
}

// From returns the instant before which no call is made, as far as it is known; zero: one may be made now.
func (g *Gate) From(now time.Time) time.Time {
	if now.Before(g.hold.until) {
		return g.hold.until
	}
	return time.Time{}
}

// Paused reports whether an operator paused all calls.
func (g *Gate) Paused() bool { return !g.paused.IsZero() }

// Probing reports whether an address in use answers nothing proper and named no time to wait: nobody knows how long that lasts.
func (g *Gate) Probing(now time.Time) bool {
	if now.Before(g.hold.until) {
		return false
	}
	for _, r := range g.routes {
		if r.breaker.open && !g.unused(r, now) {
			return true
		}
	}
	return false
}

// Limit returns what operators allow: calls per second, or 0 without a limit.
func (g *Gate) Limit() float64 { return g.config.Rate }

// Burst returns how many calls at once operators allow after a pause.
func (g *Gate) Burst() float64 { return g.config.Burst }

// busiest returns the latency of the address that answered most.
func (g *Gate) busiest() *latency {
	best := &route{}
	for _, r := range g.routes {
		if r.tally.Answered > best.tally.Answered {
			best = r
		}
	}
	return &best.latency
}

// Reach returns how many calls per second are possible with the latency that calls have, if none waits for another but
// only so many are in flight at once; 0: not known.
func (g *Gate) Reach() float64 {
	usual := g.busiest().usual()
	if usual <= 0 {
		return 0
	}
	return float64(g.config.MaxInFlight) / usual.Seconds()
}

// OutOfReach reports once that the limit cannot be reached, and once more if it was within reach in between.
func (g *Gate) OutOfReach() bool {
	reach := g.Reach()
	switch {
	case reach == 0 || g.config.Rate == 0:
	case reach >= g.config.Rate:
		g.short = false
	case !g.short && reach < 0.9*g.config.Rate:
		g.short = true
		return true
	}
	return false
}
