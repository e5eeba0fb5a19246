package worker

import "time"

// debounce is a run of changes of one agent each of which takes the place of the one before it while that still waits:
// somebody publishes a whole schedule again and again, or a backlog of that is being read. A call for one of them would
// only be undone by the next, so the agent waits until the run pauses. Other agents do not.
type debounce struct {
	began    int64 // in ticks, like the rest
	until    int64 // it has paused if nothing comes before then
	replaced int
}

const (
	debounceFrom  = 2 // replacing once is a correction
	debouncePause = 800 * time.Millisecond
	debounceMost  = time.Minute // whatever comes: a call that may be undone is better than none at all
)

// noteDebounce takes note that another change of the agent has taken effect. While other agents wait because of their
// debounces, those that are called in between are in one as well: what they get is what the others cannot.
func (s *schedule) noteDebounce(ln *lane, replaced bool) {
	now := s.ticks()
	f := s.debounces[ln].next(now, replaced, now < s.flood)
	if f == nil {
		delete(s.debounces, ln)
		return
	}
	s.debounces[ln] = f
	if f.lasts(now) {
		s.flood = f.until
	}
}

// next returns the debounce after another change has taken effect, nil if there is none.
func (f *debounce) next(now int64, replaced, flood bool) *debounce {
	if f != nil && now >= f.until {
		f = nil // it has paused
	}
	switch {
	case f == nil && !replaced && !flood:
		return nil
	case f == nil:
		f = &debounce{began: now, replaced: number(replaced)}
	case replaced || flood:
		f.replaced++
	}
	f.until = min(now+int64(debouncePause), f.began+int64(debounceMost))
	return f
}

// lasts reports whether it is better to wait for what comes next.
func (f *debounce) lasts(now int64) bool {
	return f != nil && f.replaced >= debounceFrom && now < f.until
}
