package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// retries is a queue of jobs of one kind, such as dead letters, that must be done however long NATS is away. Each kind has its own
// goroutines, and a failed job goes to the end of its queue, so neither an unavailable stream nor a bad job holds up others.
//
// A job that is refused because of its content is tried a few times as it is, then in each of its smaller forms, and is then given up:
// nothing that a stranger wrote may hold up an agent's lane for ever.
type retries struct {
	what string // has failed, for people
	met  *troubles
	mend func(ctx context.Context, err error) // what can be done about a failure

	mu      sync.Mutex // guards what follows
	queue   []job
	failing int           // of those that are not done, how many have failed
	signal  chan struct{} // holds one token while something may be in the queue
}

// job is one job. do is called with the form to store: 0 first, then the smaller ones.
type job struct {
	do     func(ctx context.Context, form int) error
	forms  int             // how many smaller forms there are
	done   func(form int)  // called with the form that was stored; nil: nobody waits
	giveUp func(err error) // called instead of done; nil: it is tried for ever

	form, refused int
	failed        bool
}

const (
	retryPause = 250 * time.Millisecond // how long a goroutine does nothing after a failure
	tries      = 2                      // of each form of a message that is refused for what is in it
)

func newRetries(what string, met *troubles, mend func(context.Context, error)) *retries {
	return &retries{what: what, met: met, mend: mend, signal: make(chan struct{}, 1)}
}

// add queues a job. It never blocks.
func (r *retries) add(next job) {
	r.mu.Lock()
	r.queue = append(r.queue, next)
	r.mu.Unlock()
	nudge(r.signal)
}

// run does jobs, atOnce of them at a time, until ctx ends.
func (r *retries) run(ctx context.Context, atOnce int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range atOnce {
		wg.Go(func() {
			for ctx.Err() == nil {
				if next, ok := r.next(); ok {
					r.try(ctx, next)
					continue
				}
				select {
				case <-r.signal:
				case <-ctx.Done():
				}
			}
		})
	}
}

// next returns the job that has waited longest.
func (r *retries) next() (next job, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return next, false
	}
	next, r.queue[0] = r.queue[0], job{}
	r.queue = r.queue[1:]
	if len(r.queue) > 0 {
		nudge(r.signal) // another goroutine may help
	} else {
		r.queue = nil
	}
	return next, true
}

func (r *retries) try(ctx context.Context, next job) {
	err := next.do(ctx, next.form) // without a deadline each request has the time that newJetStream gives it
	if ctx.Err() != nil {
		return
	}
	gaveUp := err != nil && next.giveUp != nil && next.mustGiveUp(err)
	over := r.count(&next, err != nil && !gaveUp)
	switch {
	case gaveUp:
		next.giveUp(err)
	case err == nil && next.done != nil:
		next.done(next.form)
	}
	if err == nil || gaveUp {
		if over {
			r.met.report(r.what, nil)
		}
		return
	}
	r.met.report(r.what, err)
	r.add(next)
	if !isRefused(err) { // others are stored meanwhile
		r.mend(ctx, err)
		pauseFor(ctx, retryPause)
	}
}

// mustGiveUp counts a failure, moves on to a smaller form if the current one is refused repeatedly, and reports whether none is left.
func (j *job) mustGiveUp(err error) bool {
	if !isRefused(err) {
		return false
	}
	if j.refused++; j.refused < tries {
		return false
	}
	j.refused = 0
	j.form++
	return j.form > j.forms
}

// count records the outcome of a job, and reports whether it was the last failing one.
func (r *retries) count(tried *job, failed bool) (over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch was := tried.failed; {
	case failed && !was:
		tried.failed = true
		r.failing++
	case !failed && was:
		r.failing--
		return r.failing == 0
	}
	return false
}

// isRefused reports whether the server refused this message because of its content: others can be stored, and waiting does not help.
func isRefused(err error) bool {
	if errors.Is(err, nats.ErrBadHeaderMsg) || errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
		return true
	}
	const headersTooLarge = 10097 // the library has no name for it
	answer, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (answer.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum || answer.ErrorCode == headersTooLarge)
}
