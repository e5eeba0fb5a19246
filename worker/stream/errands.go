package stream

import (
	"context"
	"sync"
	"time"
)

// errands are one kind of work that has to be done however long it takes, such as the dead letters. Each kind has
// goroutines of its own, and what fails goes to the end of its line, so that neither a stream that takes nothing nor one
// bad errand keeps anything else waiting.
type errands struct {
	what string // has failed, for people
	met  *troubles
	mend func(ctx context.Context, err error) // what can be done about a failure

	mu      sync.Mutex // guards what follows
	line    []errand
	failing int           // of those that are not done, how many have failed
	signal  chan struct{} // holds one token while something may be in line
}

type errand struct {
	do     func(ctx context.Context) error
	failed bool
}

// errandPause is how long a goroutine does nothing after a failure.
const errandPause = 250 * time.Millisecond

func newErrands(what string, met *troubles, mend func(context.Context, error)) *errands {
	return &errands{what: what, met: met, mend: mend, signal: make(chan struct{}, 1)}
}

// add puts an errand in line. It never blocks.
func (e *errands) add(do func(ctx context.Context) error) { e.put(errand{do: do}) }

func (e *errands) put(next errand) {
	e.mu.Lock()
	e.line = append(e.line, next)
	e.mu.Unlock()
	nudge(e.signal)
}

// run does errands, atOnce of them at a time, until ctx ends.
func (e *errands) run(ctx context.Context, atOnce int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range atOnce {
		wg.Go(func() {
			for ctx.Err() == nil {
				if next, ok := e.next(); ok {
					e.try(ctx, next)
					continue
				}
				select {
				case <-e.signal:
				case <-ctx.Done():
				}
			}
		})
	}
}

// next takes the errand that waits longest.
func (e *errands) next() (next errand, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.line) == 0 {
		return next, false
	}
	next, e.line[0] = e.line[0], errand{}
	e.line = e.line[1:]
	if len(e.line) > 0 {
		nudge(e.signal) // another goroutine may help
	} else {
		e.line = nil
	}
	return next, true
}

func (e *errands) try(ctx context.Context, next errand) {
	err := next.do(ctx) // without a deadline each request has the time that newJetStream gives it
	if ctx.Err() != nil {
		return
	}
	if e.count(&next, err) || err != nil {
		e.met.meet(e.what, err)
	}
	if err == nil {
		return
	}
	e.mend(ctx, err)
	e.put(next)
	pauseFor(ctx, errandPause)
}

// count takes note of what came of an errand, and tells whether it was the last one that had failed.
func (e *errands) count(tried *errand, err error) (over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch was := tried.failed; {
	case err != nil && !was:
		tried.failed = true
		e.failing++
	case err == nil && was:
		e.failing--
		return e.failing == 0
	}
	return false
}
