package gate

import "time"

// breaker keeps calls from an address that does not answer, and sends single probes instead. [row] and [quiet] trip it,
// and the end of a Retry-After goes through it too. The first proper answer closes it.
type breaker struct {
	open   bool
	since  time.Time
	from   time.Time // an answer to a call from before says nothing
	next   time.Time // no probe before it
	probes int
	why    string // the fault that opened it, or the latest one since
}

// The pauses from one probe to the next: short enough that the end of an outage is noticed at once, few enough that a
// gateway that is down is left alone. In 2 s there are eight of them.
const (
	firstProbe = 100 * time.Millisecond
	nextProbe  = 250 * time.Millisecond
	hungProbe  = 600 * time.Millisecond // after one that is not answered
	lateProbe  = time.Second
	manyProbes = 10
)

func (b *breaker) trip(from time.Time, why string, now time.Time) {
	*b = breaker{open: true, since: now, from: from, next: now.Add(firstProbe), why: why}
}

// await has the first call after a time without calls go alone.
func (b *breaker) await(h hold) {
	if !b.open {
		*b = breaker{open: true, since: h.since, why: h.why}
	}
	b.from, b.next = h.until, h.until
}

func (b *breaker) sent(now time.Time) {
	b.probes++
	b.next = now.Add(b.pause(hungProbe))
}

// fault notes that a call failed. One from before the breaker opened says nothing new.
func (b *breaker) fault(sent time.Time, why string, now time.Time) {
	if sent.Before(b.since) {
		return
	}
	b.why = why
	if next := sent.Add(b.pause(nextProbe)); next.Before(b.next) {
		b.next = next
	}
	if b.next.Before(now) {
		b.next = now
	}
}

func (b *breaker) pause(usual time.Duration) time.Duration {
	if b.probes > manyProbes {
		return lateProbe
	}
	return usual
}
