package gate

import "time"

// hold is a time without any call.
type hold struct {
	since, until time.Time
	why          string
}

// maxHold is the longest Retry-After that is obeyed as it stands. A single probe goes out after it.
const maxHold = 10 * time.Minute

// wait begins a hold, or makes the one under way longer.
func (g *Gate) wait(d time.Duration, why string, now time.Time) {
	until := now.Add(d)
	if !until.After(g.hold.until) {
		return
	}
	since := now
	if now.Before(g.hold.until) {
		since = g.hold.since
	}
	g.hold = hold{since, until, why}
	for _, r := range g.routes {
		r.breaker.await(g.hold)
	}
}

// Resume ends a Retry-After that began before the operator said so. A probe still goes first.
func (g *Gate) Resume(said, now time.Time) {
	if now.Before(g.hold.until) && g.hold.since.Before(said) {
		g.hold.until = now
		for _, r := range g.routes {
			r.breaker.from, r.breaker.next = now, now
		}
	}
}
