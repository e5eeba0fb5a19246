package worker

import "time"

// breaker keeps calls from a gateway that does not answer as a gateway does. A first fault lets calls through one at a
// time; one of another agent with no proper answer between them opens it, and then single probes go through with pauses.
// Faults of one agent alone never open it: they may be about its session, and it has its own backoff. An address of
// everybody's where nobody listens is nobody's own fault. Calls that were under way before keep nobody waiting: a slow
// one would hold everybody up for what happened to another.
type breaker struct {
	faults int       // since the last proper answer; those of the first agent alone count as one
	first  string    // the agent of the first of them
	single time.Time // when the one call was sent that is under way since then; zero: none is
	probes int       // since it opened
	next   time.Time
	why    string
	opened time.Time
}

// The pauses before probes: short enough that the end of an outage is noticed at once, few enough that a gateway that
// is down is left alone.
const (
	firstProbe = 300 * time.Millisecond
	nextProbes = 600 * time.Millisecond
	lateProbes = time.Second
	manyProbes = 10
)

// everybodys stands for the agent where a fault is about none.
const everybodys = ""

func (b *breaker) open() bool { return b.faults >= 2 }

func (b *breaker) holds(now time.Time) (again time.Time, wait bool) {
	switch {
	case b.faults == 0:
		return time.Time{}, false
	case !b.single.IsZero():
		return time.Time{}, true
	case b.open() && now.Before(b.next):
		return b.next, true
	}
	return time.Time{}, false
}

// sent notes that a call for an agent is under way. Nobody waits for another try of the one agent that is in trouble:
// where its calls hang, that would take as long each time.
func (b *breaker) sent(agent string, now time.Time) {
	if b.open() || (b.faults > 0 && agent != b.first) {
		b.single = now
	}
	if b.open() {
		b.probes++
	}
}

// back notes that the call that was sent then is under way no longer.
func (b *breaker) back(sent time.Time) {
	if sent.Equal(b.single) {
		b.single = time.Time{}
	}
}

// sound takes note of a proper answer and tells whether that closed an open breaker.
func (b *breaker) sound() bool {
	was := b.open()
	*b = breaker{}
	return was
}

// fault takes note of a fault of an agent, or of everybody's.
func (b *breaker) fault(agent, why string, sent, now time.Time) {
	if b.open() && sent.Before(b.opened) {
		return // it was under way when the breaker opened and tells nothing new
	}
	b.why = why
	switch {
	case b.faults == 0:
		b.first = agent
	case !b.open() && agent == b.first && agent != everybodys:
		return
	}
	b.faults++
	if !b.open() {
		return
	}
	if b.opened.IsZero() {
		b.opened = now
	}
	switch {
	case b.probes == 0:
		b.next = now.Add(firstProbe)
	case b.probes < manyProbes:
		b.next = now.Add(nextProbes)
	default:
		b.next = now.Add(lateProbes)
	}
}
