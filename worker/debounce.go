package worker

import (
	"maps"
	"time"
)

// debounce is a run of changes of one agent in which each one replaces the one before while that still waits. This
// happens when a whole schedule is published repeatedly, or when a backlog of such messages is read. The next change would undo a
// call for any of them, so the agent waits for a pause in the run. Other agents do not.
type debounce struct {
	began    int64 // in ticks
	until    int64 // when the run has paused if no change comes before, in ticks
	replaced int   // changes that were replaced
}

const (
	debounceFrom  = 2 // a single replacement is a correction
	debouncePause = 800 * time.Millisecond

	// However long a run is, the agent is called at last. A call that may be undone costs little while few agents are being
	// debounced, so that bound grows with their number.
	debounceLeast = 2 * time.Second
	debounceEach  = 50 * time.Millisecond
	debounceMost  = time.Minute
)

// debounceBound returns how long the agent of one run waits at most while that many agents are being debounced.
func debounceBound(agents int) time.Duration {
	return min(debounceMost, debounceLeast+time.Duration(agents)*debounceEach)
}

// noteDebounce is called when another change of the agent has taken effect. While other agents are being debounced, an agent
// counts even if its previous change was already called and so was not replaced while waiting. Their number is that of the runs:
// what the agents wait for says little, because in a flood most wait until the ending of an older change is stored.
func (s *schedule) noteDebounce(ln *lane, replaced bool) {
	now := s.ticks()
	f := s.debounces[ln].next(now, replaced, now < s.flood, debounceBound(len(s.debounces)))
	if f == nil {
		delete(s.debounces, ln)
		return
	}
	s.debounces[ln] = f
	if !f.lasts(now) {
		return
	}
	if now >= s.flood { // no other run lasts: those that have paused count no more
		maps.DeleteFunc(s.debounces, func(_ *lane, f *debounce) bool { return now >= f.until })
	}
	s.flood = max(s.flood, f.until)
}

// next returns the debounce after another change has taken effect; nil: there is none.
func (f *debounce) next(now int64, replaced, flood bool, bound time.Duration) *debounce {
	if f != nil && now >= f.until {
		f = nil // the run has paused
	}
	switch {
	case f == nil && !replaced && !flood:
		return nil
	case f == nil:
		f = &debounce{began: now, replaced: number(replaced)}
	case replaced || flood:
		f.replaced++
	}
	f.until = min(now+int64(debouncePause), f.began+int64(bound))
	return f
}

// lasts reports whether the agent still waits for a pause.
func (f *debounce) lasts(now int64) bool {
	return f != nil && f.replaced >= debounceFrom && now < f.until
}
