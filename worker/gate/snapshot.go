package gate

import (
	"math"
	"time"
)

// Snapshot is what another process should know of the gateway when it becomes the owner. Instants are those of the wall
// clock, because it is read elsewhere.
type Snapshot struct {
	HoldSince time.Time       `json:"hold_since,omitzero"` // a Retry-After holds all calls since then
	HoldUntil time.Time       `json:"hold_until,omitzero"`
	HoldWhy   string          `json:"hold_why,omitempty"`
	Routes    []RouteSnapshot `json:"routes,omitempty"` // in trouble
}

// RouteSnapshot is the trouble of one address.
type RouteSnapshot struct {
	Address string    `json:"address,omitempty"` // empty: the configured one
	Most    float64   `json:"most,omitempty"`    // calls per second that it was found to take
	Open    bool      `json:"open,omitempty"`    // it does not answer, and single probes go out
	Since   time.Time `json:"since,omitzero"`
	Why     string    `json:"why,omitempty"`
}

// Snapshot returns what is worth knowing elsewhere. It is empty if the gateway is in no trouble.
func (g *Gate) Snapshot(now time.Time) Snapshot {
	var s Snapshot
	if now.Before(g.hold.until) {
		s.HoldSince, s.HoldUntil, s.HoldWhy = g.hold.since.UTC().Round(0), g.hold.until.UTC().Round(0), g.hold.why
	}
	for _, address := range g.addresses {
		r := g.routes[address]
		if r.breaker.open || r.limit.most > 0 {
			out := RouteSnapshot{Address: address, Most: r.limit.most, Open: r.breaker.open, Since: r.limit.since, Why: r.limit.why}
			if out.Open {
				out.Since, out.Why = r.breaker.since, r.breaker.why
			}
			out.Since = out.Since.UTC().Round(0)
			s.Routes = append(s.Routes, out)
		}
	}
	return s
}

// Fingerprint returns a number that changes if, and almost only if, the snapshot changes.
func (g *Gate) Fingerprint() uint64 {
	const prime = 1099511628211 // of FNV-1a
	mark := uint64(g.hold.until.UnixNano())
	for i, address := range g.addresses {
		r := g.routes[address]
		sum := math.Float64bits(r.limit.most)
		if r.breaker.open {
			sum = ^sum
		}
		if sum != 0 {
			mark = (mark ^ sum) * prime
			mark = (mark ^ uint64(i+1)) * prime
		}
	}
	return mark
}

// Restore takes over what another process knew. What this one knows itself stays where it says more.
func (g *Gate) Restore(s Snapshot, now time.Time) {
	here := func(t time.Time) time.Time { return now.Add(t.Sub(now.Round(0))) } // on the monotonic clock
	if until := here(s.HoldUntil); !s.HoldUntil.IsZero() && until.After(now) && until.After(g.hold.until) {
		if latest := now.Add(maxHold); until.After(latest) {
			until = latest
		}
		g.hold = hold{here(s.HoldSince), until, s.HoldWhy}
		for _, r := range g.routes {
			r.breaker.await(g.hold)
		}
	}
	for _, in := range s.Routes {
		if len(g.routes) >= mostRoutes {
			return
		}
		r := g.route(in.Address, now)
		if in.Most > 0 && r.limit.most == 0 {
			r.limit.set(in.Most, reachFound, now)
			r.limit.since, r.limit.why = here(in.Since), in.Why
		}
		if in.Open && !r.breaker.open {
			r.breaker = breaker{open: true, since: here(in.Since), from: now, next: now, why: in.Why}
		}
	}
}

// mostRoutes bounds what a record that somebody else wrote can add.
const mostRoutes = 64
