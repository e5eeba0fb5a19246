package worker

import "time"

// clock is the time of the current turn of the event loop. Instants that messages name are on the wall clock. Pauses and
// holds are in ticks, on a clock that nobody can set, so a wall clock that is set back delays only what names an instant.
type clock struct {
	now    time.Time
	start  time.Time // of the term
	ticks0 int64     // what ticks returned at the start
}

func newClock(now time.Time) *clock { return &clock{now: now, start: now, ticks0: now.UnixNano()} }

// ticks returns the time on the clock that nobody can set, in nanoseconds.
func (c *clock) ticks() int64 { return c.ticksAt(c.now) }

// ticksAt converts a time that was taken from time.Now.
func (c *clock) ticksAt(t time.Time) int64 { return c.ticks0 + int64(t.Sub(c.start)) }

// fromTicks converts ticks to a wall-clock time for people.
func (c *clock) fromTicks(ticks int64) time.Time {
	return c.now.Add(time.Duration(ticks - c.ticks())).Round(0).UTC()
}

// pauseFor returns when a pause that begins now ends, in ticks.
func (c *clock) pauseFor(d time.Duration) int64 { return c.ticks() + int64(d) }

// clockLook is how often the wall clock is checked while changes wait for an instant: somebody may set it, and timers do not
// notice.
const clockLook = 5 * time.Second

// untilInstant returns when to check whether an instant has come.
func (c *clock) untilInstant(ns int64) time.Time {
	return c.now.Add(min(clockLook, time.Duration(ns-c.now.UnixNano())))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// farthest stands for every instant from the year 2200 on: many write 9999 for never, and nanoseconds end in 2262.
var farthest = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

func nanos(t time.Time) int64 {
	if t.After(farthest) {
		return farthest.UnixNano()
	}
	return t.UnixNano()
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
