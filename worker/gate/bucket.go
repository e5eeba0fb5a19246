package gate

import "time"

// bucket is a token bucket. It fills from last on and counts no tokens before that.
type bucket struct {
	tokens float64
	last   time.Time
}

func (b *bucket) fill(rate, depth float64, now time.Time) {
	if now.After(b.last) {
		b.tokens = min(depth, b.tokens+rate*now.Sub(b.last).Seconds())
		b.last = now
	}
}

// next returns when the next token is there; zero: there is one.
func (b *bucket) next(rate float64) time.Time {
	if b.tokens >= 1-1e-9 {
		return time.Time{}
	}
	seconds := min((1-b.tokens)/rate, time.Hour.Seconds())
	return b.last.Add(time.Duration(seconds*float64(time.Second)) + time.Nanosecond)
}

// depth is how many tokens the site's bucket may hold. A call in flight may not have reached the gateway yet, and can
// still arrive together with what is sent next. So the depth is less by what is in flight, and no window at the gateway
// holds more than the rate and the burst allow, late as calls may arrive, while no more than the burst are in flight.
// A call that opens a connection arrives after those behind it on open ones, so some of the burst is kept for that. What
// remains makes up for waking up late.
func depth(rate, burst float64, inFlight int) float64 {
	least := min(burst, 1+rate*wakesLate.Seconds())
	return max(1, least, burst-float64(inFlight)-rate*arrivesLate.Seconds())
}

const (
	wakesLate   = 10 * time.Millisecond
	arrivesLate = 15 * time.Millisecond
)
