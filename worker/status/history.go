package status

import (
	"context"
	"sync"
	"time"

	"idlepolicy/worker/view"
)

// The history in the plot: one point every 5 s for 15 minutes.
const (
	sampleEvery = 5 * time.Second
	keptPoints  = 180
)

// history keeps the last 15 minutes of the site for the plot, whoever the owner was.
type history struct {
	mu     sync.Mutex // guards what follows
	points [keptPoints]point
	n      uint64   // points ever added
	last   counters // as of the last view of an owner
}

// counters are the owner's counters at some time. They restart with each term.
type counters struct {
	at           time.Time
	term         time.Time
	calls, ended uint64
}

// point is what happened in the seconds before At.
type point struct {
	At      time.Time `json:"at"`
	Known   bool      `json:"known"`   // there was an owner to tell
	Calls   float64   `json:"calls"`   // per second
	Ended   float64   `json:"ended"`   // per second
	Backlog int       `json:"backlog"` // changes that could be called, are being called or retry
}

// add turns a view into a point. Rates are by the time since the last view of an owner: ticks may come late.
func (h *history) add(now time.Time, v view.View, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := point{At: now, Known: known}
	if known {
		last := h.last
		h.last = counters{at: now, term: v.Since, calls: v.Called, ended: v.Ended}
		switch {
		case last.at.IsZero() || !now.After(last.at):
			return // there is nothing to compare with
		case v.Since.Equal(last.term):
		case v.Since.After(last.at):
			last.calls, last.ended = 0, 0 // the term began since
		default:
			return
		}
		seconds := now.Sub(last.at).Seconds()
		p.Calls, p.Ended = float64(v.Called-last.calls)/seconds, float64(v.Ended-last.ended)/seconds
		p.Backlog = backlog(v)
	}
	h.points[h.n%keptPoints] = p
	h.n++
}

// backlog returns how many calls are due. Changes that wait for a sign-in or an instant are not.
func backlog(v view.View) int { return v.Due + v.InFlight + v.Retrying }

// all returns the points from the oldest to the newest.
func (h *history) all() []point {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(h.n, keptPoints)
	found := make([]point, 0, n)
	for i := h.n - n; i < h.n; i++ {
		found = append(found, h.points[i%keptPoints])
	}
	return found
}

// sample adds a point every 5 s until ctx ends.
func (s *Server) sample(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for now := time.Now(); ; {
		v, known := s.siteView()
		s.history.add(now, v, known)
		select {
		case now = <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
