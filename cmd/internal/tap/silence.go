package tap

import (
	"context"
	"time"
)

// objection is how long the other taps have to say that they have seen an agent who is silent here: a balancer may have
// led the desktop elsewhere.
const objection = 500 * time.Millisecond

// mostAsked is how many agents are asked about at once.
const mostAsked = 1000

// watchSilence ends the sessions of agents without any request and answer: the gateway has signed them out.
func (r *Registry) watchSilence(ctx context.Context) {
	tick := time.NewTicker(min(max(r.Silence/60, 10*time.Millisecond), objection))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		silent := r.sweep()
		if len(silent) == 0 {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, objection)
		if err := r.Store.Ask(asking, silent); err != nil {
			r.askAgain(silent)
		}
		cancel()
	}
}

// sweep ends sessions that nobody objected to, and returns those that the other taps are to be asked about.
func (r *Registry) sweep() (silent []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for e := r.seen.Front(); e != nil && len(silent) < mostAsked; {
		a, next := e.Value.(*agent), e.Next()
		if now.Sub(a.heard) < r.Silence {
			break
		}
		switch {
		case a.tunnels > 0:
			r.touch(a)
		case a.state != present:
			if !a.queued {
				r.forget(a)
			}
		case a.asked.IsZero():
			a.asked = now
			silent = append(silent, a.id)
		case now.Sub(a.asked) >= objection:
			r.end(a, Silences, now)
		}
		e = next
	}
	return silent
}

func (r *Registry) askAgain(silent []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range silent {
		if a := r.agents[id]; a != nil {
			a.asked = time.Time{}
		}
	}
}

// Silent returns which of these agents this tap has seen lately: another tap asks.
func (r *Registry) Silent(agents []string) (seen []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range agents {
		if a := r.agents[id]; a != nil && a.state == present && time.Since(a.heard) < r.Silence {
			seen = append(seen, id)
		}
	}
	return seen
}

// Heard takes in that another tap has seen these agents lately.
func (r *Registry) Heard(agents []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range agents {
		if a := r.agents[id]; a != nil && !a.asked.IsZero() {
			r.touch(a)
		}
	}
}
