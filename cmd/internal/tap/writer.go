package tap

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	writers    = 32
	tryAgain   = 500 * time.Millisecond // after a failure
	afterTrial = 50 * time.Millisecond  // for which a writer rests after a failure: NATS may be away, and tens of thousands wait
)

// Run stores what changes, until ctx ends. A record is tried until it is stored.
func (r *Registry) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = true
		r.room.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() { r.write(ctx) })
	}
	wg.Go(func() { r.watchSilence(ctx) })
	wg.Go(func() { r.findAgents(ctx) })
	wg.Wait()
}

// Flush returns when everything is stored, or ctx ends.
func (r *Registry) Flush(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.room.Broadcast()
	})
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.waiting > 0 && ctx.Err() == nil {
		r.room.Wait()
	}
}

// Verify compares every agent with what is stored: nobody knows what became of the records while NATS was away.
func (r *Registry) Verify() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.agents {
		a.known = false
		r.enqueue(a)
	}
}

// findAgents looks, once, for the sessions that taps have left in the store, so that those end whose desktops are gone.
func (r *Registry) findAgents(ctx context.Context) {
	for {
		agents, err := r.Store.Agents(ctx)
		if err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, id := range agents {
				if r.agents[id] == nil {
					a := r.agent(id)
					r.touch(a)
					r.enqueue(a)
				}
			}
			return
		}
		if !pause(ctx, tryAgain) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// enqueue has the agent looked at by a writer.
func (r *Registry) enqueue(a *agent) {
	if a.queued {
		a.again = true
		return
	}
	a.queued = true
	r.waiting++
	r.push(a)
}

func (r *Registry) push(a *agent) {
	r.queue = append(r.queue, a)
	r.room.Signal()
}

func (r *Registry) write(ctx context.Context) {
	for {
		a := r.next()
		if a == nil {
			return
		}
		err := r.store(ctx, a)
		r.finish(ctx, a, err)
		if err != nil && !pause(ctx, afterTrial) {
			return
		}
	}
}

// next returns the agent to be stored next; nil: Run ends.
func (r *Registry) next() *agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) == 0 && !r.ended {
		r.room.Wait()
	}
	if r.ended {
		return nil
	}
	a := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	return a
}

// finish has an agent tried again later, or is done with it.
func (r *Registry) finish(ctx context.Context, a *agent, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.failed(ctx, err)
		time.AfterFunc(tryAgain, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.push(a)
		})
		return
	case a.again:
		a.again = false
		r.push(a)
		return
	}
	a.queued = false
	if r.waiting--; r.waiting == 0 {
		if r.trouble != "" {
			r.trouble = ""
			r.Log.Info("all sessions are stored again")
		}
		r.room.Broadcast()
	}
	if a.state == unknown && a.claim == nil {
		r.forget(a)
	}
}

// failed logs each kind of trouble once while it lasts.
func (r *Registry) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.Count(Failures)
	if text := err.Error(); r.trouble != text {
		if r.trouble == "" {
			r.Log.Warn("sessions cannot be stored, trying again", "err", err)
		} else {
			r.Log.Debug("sessions cannot be stored, trying again", "err", err)
		}
		r.trouble = text
	}
}

// store writes an agent's record until it is as it has to be.
func (r *Registry) store(ctx context.Context, a *agent) error {
	for {
		if err := r.readIfNeeded(ctx, a); err != nil {
			return err
		}
		rec, version, ok := r.toWrite(a)
		if !ok {
			return nil
		}
		rev, err := r.Store.Put(ctx, a.id, rec)
		if err != nil && !errors.Is(err, ErrConflict) {
			r.mu.Lock()
			a.known = false // it may have been stored all the same
			r.mu.Unlock()
			return err
		}
		r.mu.Lock()
		if err != nil {
			a.known = false
			r.Count(Conflicts)
		} else {
			a.rev = rev
			a.dirty = a.dirty && a.version != version
			r.Count(Writes)
		}
		r.mu.Unlock()
	}
}

// readIfNeeded reads what is stored if the tap does not know it, or has to compare it with a claim.
func (r *Registry) readIfNeeded(ctx context.Context, a *agent) error {
	r.mu.Lock()
	needed := !a.known || a.claim != nil
	r.mu.Unlock()
	if !needed {
		return nil
	}
	rec, err := r.Store.Get(ctx, a.id)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reconcile(a, &rec)
	return nil
}

// toWrite returns the record to write; not ok: there is nothing to do.
func (r *Registry) toWrite(a *agent) (rec Record, version int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.claim != nil || !a.known { // something happened while the record was read
		return Record{}, 0, false
	}
	rec = a.record()
	rec.Session.Cookies = slices.Clone(rec.Session.Cookies)
	return rec, a.version, a.dirty
}
