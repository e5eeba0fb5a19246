package worker

import "time"

// flurry is a run of changes of one agent each of which takes the place of the one before it while that still waits:
// somebody publishes a whole schedule again and again, or a backlog of that is being read. A call for one of them would
// only be undone by the next, so the agent waits until the run pauses. Other agents do not.
type flurry struct {
	began    int64 // in ticks, like the rest
	until    int64 // it has paused if nothing comes before then
	replaced int
}

const (
	flurryFrom  = 2 // replacing once is a correction
	flurryPause = 800 * time.Millisecond
	flurryMost  = time.Minute // whatever comes: a call that may be undone is better than none at all
)

// heedFlurry takes note that another change of the agent has taken effect. While other agents wait because of their
// flurries, those that are called in between are in one as well: what they get is what the others cannot.
func (l *loop) heedFlurry(ln *lane, replaced bool) {
	now := l.ticks()
	f := l.flurries[ln].next(now, replaced, now < l.flood)
	if f == nil {
		delete(l.flurries, ln)
		return
	}
	l.flurries[ln] = f
	if f.lasts(now) {
		l.flood = f.until
	}
}

// next returns the flurry after another change has taken effect, nil if there is none.
func (f *flurry) next(now int64, replaced, flood bool) *flurry {
	if f != nil && now >= f.until {
		f = nil // it has paused
	}
	switch {
	case f == nil && !replaced && !flood:
		return nil
	case f == nil:
		f = &flurry{began: now, replaced: number(replaced)}
	case replaced || flood:
		f.replaced++
	}
	f.until = min(now+int64(flurryPause), f.began+int64(flurryMost))
	return f
}

// lasts tells whether it is better to wait for what comes next.
func (f *flurry) lasts(now int64) bool { return f != nil && f.replaced >= flurryFrom && now < f.until }
